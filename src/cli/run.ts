import { spawn, type ChildProcess } from 'node:child_process'
import { constants } from 'node:os'
import { buildProxy, listen } from '../app.ts'
import { drain } from '../ops/drain.ts'
import { UsageError, type Command, type SettingWishes, type Terminal } from './command.ts'
import { version } from './version.ts'

export const command: Command = {
  name: 'run',
  summary: 'run a command with a proxy of its own',
  help: `
Starts a proxy on a free port, runs the command with the base URL and a token in its environment, and exits with its code.
Signals are passed on, but for SIGHUP, which reads the access key anew. The command's environment holds no access key. It finds:

  API_BASE_URL, MBED_CLOUD_SDK_HOST     where the proxy listens
  API_TOKEN, MBED_CLOUD_SDK_API_KEY     what to send where the API key would be

  izuma-proxy run --access-key-file ~/.izuma-key -- sh -c 'curl -s "$API_BASE_URL/v3/devices?limit=2"'
  izuma-proxy run --team-file team.json --token-file alice.token -- python report.py`,
  options: { 'token-file': { type: 'string' } },
  takesSettings: true,
  takesArguments: 'behind dashes',
  async run ({ args, settings: load, options, terminal }) {
    const [file, ...words] = args
    if (file === undefined) throw new UsageError('run needs a command: izuma-proxy run -- CMD ARG …')
    const settings = load(ownProxy)
    if ('socketPath' in settings.listen) throw new UsageError('run tells its command a URL, so --listen takes host:port here')
    const token = await readToken(options['token-file'], settings.teamFile !== undefined)
    const proxy = await buildProxy({ settings, environment: terminal.environment, stdout: terminal.stderr, program: { version: version(), node: terminal.nodeVersion } })
    const stopReloading = terminal.onHangup(() => proxy.reload())
    try {
      const { url } = await listen(proxy)
      return await runChild(file, words, childEnvironment(terminal.environment, url, token), terminal)
    } finally {
      stopReloading()
      await drain(proxy.app, { timeoutMs: settings.drainTimeout })
      await proxy.app.close()
    }
  }
}

/** It may run beside the proxy that the settings describe, so it does not take that one's addresses. */
const ownProxy: SettingWishes = {
  defaults: { PROXY_LISTEN: '127.0.0.1:0', PROXY_LOG_LEVEL: 'warn' },
  isIgnored: name => name === 'PROXY_LISTEN' || name === 'PROXY_HEALTH_LISTEN'
}

/** Without a team the proxy needs no token, but the vendor's SDKs refuse to start without a key. */
const placeholderToken = 'izp_local'

async function readToken (file: unknown, needed: boolean): Promise<string> {
  if (typeof file !== 'string') {
    if (needed) throw new UsageError('with a team file the command needs a member token: --token-file FILE')
    return placeholderToken
  }
  const { readFile } = await import('node:fs/promises')
  return (await readFile(file, 'utf8')).trim()
}

function childEnvironment (environment: Record<string, string | undefined>, url: string, token: string): Record<string, string | undefined> {
  const kept = Object.entries(environment).filter(([name]) => !name.startsWith('IZUMA_ACCESS_KEY'))
  return { ...Object.fromEntries(kept), API_BASE_URL: url, MBED_CLOUD_SDK_HOST: url, API_TOKEN: token, MBED_CLOUD_SDK_API_KEY: token }
}

/** Ctrl-C goes to every process of the terminal: the command has it already, and a second signal may mean "at once" to it. */
function passOn ({ interrupted, stdout, stderr }: Terminal, child: ChildProcess): void {
  const signal = interrupted.reason as NodeJS.Signals
  if (signal === 'SIGINT' && (stdout.isTTY === true || stderr.isTTY === true)) return
  child.kill(signal)
}

function runChild (file: string, words: string[], env: Record<string, string | undefined>, terminal: Terminal): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, words, { env, stdio: 'inherit' })
    terminal.interrupted.addEventListener('abort', () => passOn(terminal, child), { once: true })
    child.once('error', error => reject(new Error(`${file} could not be started: ${error.message}`)))
    child.once('close', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])))
  })
}
