import { lstat, readlink, realpath, stat, statfs } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'

const tmpfsMagic = 0x01021994
const ramfsMagic = 0x858458f6

/**
 * Whether a file was put there by Kubernetes, Docker or a relative, whose secrets are readable to all by default: the
 * container is the boundary, and the mode cannot be changed from within.
 */
export async function isSecretMount (path: string): Promise<boolean> {
  try {
    return isBelowRunSecrets(await realpath(path)) || await isKubernetesVolume(path) || await isMountedAlone(path)
  } catch {
    return false
  }
}

/** Docker, Podman and Compose mount secrets at /run/secrets; systemd puts credentials at /run/credentials. */
export function isBelowRunSecrets (path: string): boolean {
  return /^(?:\/var)?\/run\/(?:secrets|credentials)\/./.test(path)
}

/** A volume of kind `secret`: `key -> ..data/key`, `..data -> ..2026_07_01_…`, swapped as one when the secret changes. */
async function isKubernetesVolume (path: string): Promise<boolean> {
  const link = await lstat(path)
  if (!link.isSymbolicLink() || !(await readlink(path)).startsWith('..data' + sep)) return false
  return (await lstat(join(dirname(path), '..data'))).isSymbolicLink()
}

/** `subPath` mounts one file of such a volume, from memory, into a folder of another file system. */
async function isMountedAlone (path: string): Promise<boolean> {
  const [file, folder, { type }] = await Promise.all([stat(path), stat(dirname(path)), statfs(path)])
  return file.dev !== folder.dev && (type === tmpfsMagic || type === ramfsMagic)
}
