import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Image } from './image.ts'

export interface Contained {
  process: ChildProcess
  /** Everything it printed. */
  output (): string
  /** Resolves to the exit code. */
  exited: Promise<number | null>
  /** Sends a signal to the process inside, which is PID 1 there. */
  kill (signal: NodeJS.Signals): void
}

export interface ContainedOptions {
  environment?: Record<string, string>
  /** Folders of this machine, by where they are mounted inside. */
  mounts: Record<string, string>
}

/** As a container engine would with `--read-only --tmpfs /tmp`: namespaces of its own for mounts and processes, the image's user, its root read-only. */
const enter = `
set -e
root=$1 user=$2 folder=$3; shift 3
mount --bind "$root" "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
while [ "$1" != -- ]; do mkdir -p "$root$2"; mount --bind "$1" "$root$2"; shift 2; done
shift
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user" "$root" env -i "$@"
`

/** Runs a command in the image's root with the environment of the image. */
export function runContained ({ root, config }: Image, argv: string[], { environment = {}, mounts }: ContainedOptions): Contained {
  const variables = [...config.Env, ...Object.entries(environment).map(([name, value]) => `${name}=${value}`)]
  const inside = [...variables, 'sh', '-c', `cd ${config.WorkingDir} && exec "$0" "$@"`, ...argv]
  const places = Object.entries(mounts).flatMap(([inner, outer]) => [outer, inner])
  const child = spawn('unshare', ['--mount', '--pid', '--fork', 'sh', '-c', enter, 'sh', root, config.User, config.WorkingDir, ...places, '--', ...inside], { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => { text += String(chunk) })
  return {
    process: child,
    output: () => text,
    exited: new Promise(resolve => { child.once('close', resolve) }),
    kill: signal => { process.kill(firstChild(child.pid), signal) }
  }
}

function firstChild (pid: number | undefined): number {
  const child = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0])
  // 0 would be this process's own group.
  if (!(child > 0)) throw new Error('the contained process is not there')
  return child
}
