import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildProxy, listen, type Proxy } from '../app.ts'
import type { Settings } from '../config/table.ts'
import { drain } from '../ops/drain.ts'
import { startSandbox, type Sandbox } from '../sandbox/index.ts'
import { UsageError, type Command, type Invocation, type Terminal } from './command.ts'
import { showDemo } from './demo-show.ts'
import { version } from './version.ts'

export const command: Command = {
  name: 'demo',
  summary: 'try it: a stand-in for the API and the proxy in front of it, no account needed',
  help: `
Starts a sandbox that behaves like the API, with a key of its own and some thousand devices, and the proxy in front of it;
sends a few requests and shows what each side saw. Everything is deleted at the end (Ctrl-C). Takes another port if 8080 is taken.
Of your own settings only flags, PROXY_LISTEN and PROXY_LOG_LEVEL count; your access key is not touched.

  izuma-proxy demo
  izuma-proxy demo --once        show it and exit`,
  options: { once: { type: 'boolean' }, devices: { type: 'string', default: '2000' } },
  takesSettings: true,
  async run (invocation) {
    const folder = await mkdtemp(join(tmpdir(), 'izuma-proxy-demo-'))
    const sandbox = await startSandbox({ devices: readCount(invocation.options['devices']) })
    try {
      return await runDemo(invocation, sandbox, folder)
    } finally {
      await sandbox.close()
      await rm(folder, { recursive: true, force: true })
    }
  }
}

function readCount (text: unknown): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1) throw new UsageError(`--devices ${String(text)}: expected a whole number from 1`)
  return count
}

async function runDemo ({ settings: load, options, terminal }: Invocation, sandbox: Sandbox, folder: string): Promise<number> {
  await writeFile(join(folder, 'ca.pem'), sandbox.caPem)
  await writeFile(join(folder, 'access-key'), sandbox.accessKey, { mode: 0o600 })
  const settings = load({
    flags: {
      '--api-host': sandbox.origin,
      '--ca-file': join(folder, 'ca.pem'),
      '--access-key-file': join(folder, 'access-key'),
      '--trail': `sqlite:${join(folder, 'trail.db')}`
    },
    defaults: { PROXY_LOG_LEVEL: 'error' },
    // Whoever has set up the real thing, or half of it, may still try the demo.
    isIgnored: name => /^(IZUMA|PROXY)_/.test(name) && name !== 'PROXY_LISTEN' && name !== 'PROXY_LOG_LEVEL'
  })
  const { proxy, url } = await startOnFreePort(settings, terminal)
  try {
    await showDemo({ url, sandbox, terminal, trail: join(folder, 'trail.db') })
    if (!options['once']) await proxy.stopRequested(terminal.interrupted)
    await drain(proxy.app, { timeoutMs: settings.drainTimeout })
    return 0
  } finally {
    await proxy.app.close()
  }
}

async function startOnFreePort (settings: Settings, terminal: Terminal): Promise<{ proxy: Proxy, url: string }> {
  try {
    return await start(settings, terminal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || 'socketPath' in settings.listen) throw error
    terminal.stdout.write(`Port ${settings.listen.port} is taken, so the demo uses a free one.\n`)
    return await start({ ...settings, listen: { ...settings.listen, port: 0 } }, terminal)
  }
}

async function start (settings: Settings, terminal: Terminal): Promise<{ proxy: Proxy, url: string }> {
  const proxy = await buildProxy({ settings, environment: {}, stdout: terminal.stdout, program: { version: version(), node: terminal.nodeVersion } })
  try {
    return { proxy, ...await listen(proxy) }
  } catch (error) {
    await proxy.app.close()
    throw error
  }
}
