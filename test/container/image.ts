import { existsSync, mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import { run } from './commands.ts'

/** The parts of an image's configuration that a container engine acts on. */
export interface ImageConfig {
  User: string
  Env: string[]
  Entrypoint: string[]
  Cmd: string[]
  WorkingDir: string
  Volumes: Record<string, object>
  ExposedPorts: Record<string, object>
  Labels: Record<string, string>
  Healthcheck: { Test: string[] }
}

export interface Image {
  /** Where its root file system is mounted. */
  root: string
  config: ImageConfig
  bytes: number
  baseBytes: number
}

type Buildah = (...args: string[]) => Promise<string>

const node = 'node_modules/node/bin/node'

/** Builds the Dockerfile with buildah, without a registry: on a base made of Debian packages, this checkout's Node and the machine's npm. */
export async function buildImage (t: Test): Promise<Image> {
  const folder = mkdtempSync('/var/tmp/izuma-proxy-image-')
  const buildah = await openStorage(folder)
  t.teardown(async () => {
    await buildah('umount', '--all')
    await buildah('rm', '--all')
    rmSync(folder, { recursive: true, force: true })
  })
  await buildBase(buildah, folder)
  await buildah('build', '--isolation', 'chroot', '--format', 'docker', '--build-arg', 'BASE=localhost/base', '--build-arg', 'VERSION=9.9.9', '--build-arg', 'REVISION=abc', ...await registryAccess(folder), '--tag', 'localhost/izuma-proxy', '.')
  const container = await buildah('from', 'localhost/izuma-proxy')
  const root = await buildah('mount', container)
  const { Docker } = JSON.parse(await buildah('inspect', '--type', 'image', 'localhost/izuma-proxy')) as { Docker: { config: ImageConfig } }
  return { root, config: Docker.config, bytes: await measure(root), baseBytes: await measureBase(buildah) }
}

/** overlay shares layers; where the kernel doesn't let us, vfs copies them. */
async function openStorage (folder: string): Promise<Buildah> {
  const withDriver = (driver: string): Buildah => (...args) => run('buildah', ['--root', join(folder, driver), '--runroot', join(folder, `${driver}-run`), '--storage-driver', driver, ...args])
  const overlay = withDriver('overlay')
  try {
    const container = await overlay('from', 'scratch')
    await overlay('mount', container)
    await overlay('rm', container)
    return overlay
  } catch {
    return withDriver('vfs')
  }
}

async function buildBase (buildah: Buildah, folder: string): Promise<void> {
  const context = join(folder, 'base')
  mkdirSync(context)
  await run('cp', [await debianTar(), join(context, 'base.tar')])
  await addNode(folder, join(context, 'base.tar'))
  writeFileSync(join(context, 'Containerfile'), 'FROM scratch\nADD base.tar /\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n')
  await buildah('build', '--isolation', 'chroot', '--format', 'docker', '--tag', 'localhost/base', context)
}

/** What Node and a shell need of Debian, kept between runs. Unpacked only: no package's scripts run, so it takes seconds. */
async function debianTar (): Promise<string> {
  const folder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'izuma-proxy-tests')
  const tar = join(folder, 'bookworm-base-1.tar')
  if (existsSync(tar)) return tar
  mkdirSync(folder, { recursive: true })
  const unfinished = `${tar}.${process.pid}.tar`
  await run('mmdebstrap', ['--variant=extract', '--include=base-files,dash,coreutils,sed,grep,findutils,libstdc++6,libatomic1', '--dpkgopt=path-exclude=/usr/share/doc/*', '--dpkgopt=path-exclude=/usr/share/locale/*', 'bookworm', unfinished])
  renameSync(unfinished, tar)
  return tar
}

/** Where the official image has them. */
async function addNode (folder: string, tar: string): Promise<void> {
  const local = join(folder, 'local/usr/local')
  // …/npm/bin/npm-cli.js
  const npm = dirname(dirname(realpathSync(await run('sh', ['-c', 'command -v npm']))))
  await run('mkdir', ['-p', join(local, 'bin'), join(local, 'lib/node_modules')])
  await run('cp', [node, join(local, 'bin/node')])
  await run('cp', ['-a', npm, join(local, 'lib/node_modules/npm')])
  await run('ln', ['-s', '../lib/node_modules/npm/bin/npm-cli.js', join(local, 'bin/npm')])
  await run('tar', ['--append', '--owner=0', '--group=0', '--file', tar, '--directory', join(folder, 'local'), './usr/local'])
}

/** npm in the build reaches the registry as npm on this machine does, and shares its cache. Nothing of it stays in the image. */
async function registryAccess (folder: string): Promise<string[]> {
  const [cache, registry, cafile] = await Promise.all(['cache', 'registry', 'cafile'].map(name => run('npm', ['config', 'get', name])))
  const authorities = [cafile, process.env['NODE_EXTRA_CA_CERTS']].find(file => file !== undefined && existsSync(file))
  const npmrc = join(folder, 'npmrc')
  writeFileSync(npmrc, ['cache=/tmp/npm-cache', `registry=${registry}`, 'prefer-offline=true', 'omit-lockfile-registry-resolved=true', 'update-notifier=false', ...(authorities ? ['cafile=/etc/machine-authorities.pem'] : []), ''].join('\n'))
  return [
    '--volume', `${cache}:/tmp/npm-cache:rw`,
    '--volume', `${npmrc}:/usr/local/etc/npmrc:ro`,
    ...(authorities ? ['--volume', `${authorities}:/etc/machine-authorities.pem:ro`] : [])
  ]
}

async function measure (root: string): Promise<number> {
  return Number((await run('du', ['--summarize', '--bytes', '--one-file-system', root])).split('\t')[0])
}

async function measureBase (buildah: Buildah): Promise<number> {
  return await measure(await buildah('mount', await buildah('from', 'localhost/base')))
}
