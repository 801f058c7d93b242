import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, mkdir, rm, writeFile, chmod } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSandbox, type Sandbox } from '../sandbox/index.ts'
import type { Command, Terminal } from './command.ts'
import { DemoListener, DemoLoad, findHolder, type Instance } from './demo-fleet-clients.ts'
import { findMissingPackages, startLocalPostgres, startLocalRedis, type LocalServer } from './local-servers.ts'

const instanceCount = 3
const eventMs = 50
const beforeMs = 3_000
const afterMs = 3_000

export const command: Command = {
  name: 'demo-fleet',
  summary: 'try several instances: three share one channel, one is killed, and what was missed is counted',
  help: `
Starts a sandbox that stands in for the API, a Redis and a PostgreSQL of its own (if they are installed), and three instances of the
proxy that share them; sends requests to all of them and listens at two; kills the instance that holds the notification channel,
and counts. Takes about twenty seconds. Everything is deleted at the end.

  izuma-proxy demo-fleet`,
  options: {},
  takesSettings: false,
  async run ({ terminal }) {
    const missing = findMissingPackages()
    if (missing.length > 0) {
      terminal.stderr.write(`Not installed: ${missing.join(', ')}. On Debian: apt-get install ${missing.join(' ')}\n`)
      return 1
    }
    const folder = await mkdtemp(join(tmpdir(), 'izuma-proxy-fleet-'))
    // PostgreSQL runs as a user of its own if this is root.
    await chmod(folder, 0o711)
    const running: Array<{ stop (): Promise<void> }> = []
    try {
      return await runDemo(terminal, folder, running)
    } finally {
      for (const one of running.reverse()) await one.stop()
      await rm(folder, { recursive: true, force: true })
    }
  }
}

async function runDemo (terminal: Terminal, folder: string, running: Array<{ stop (): Promise<void> }>): Promise<number> {
  const say = (text: string) => terminal.stdout.write(text + '\n')
  const keep = <T extends { stop (): Promise<void> }>(one: T): T => {
    running.push(one)
    return one
  }
  say('Starting a sandbox, Redis, PostgreSQL and three instances …')
  const sandbox = await startSandbox({ devices: 500, quiet: true })
  running.push({ stop: () => sandbox.close() })
  const redis = keep(await startLocalRedis(folder))
  const postgres = keep(await startLocalPostgres(folder))
  const instances = await Promise.all(Array.from({ length: instanceCount }, async (_, n) => keep(await startInstance(terminal, folder, n, sandbox, redis, postgres))))
  const holder = await findHolder(instances, terminal.interrupted)
  const others = instances.filter(instance => instance !== holder)
  for (const instance of instances) say(`  ${instance.name}  ${instance.url}${instance === holder ? '   holds the notification channel' : ''}`)

  const listeners = [keep(new DemoListener([holder, ...others])), keep(new DemoListener([...others].reverse()))]
  await Promise.all(listeners.map(({ connected }) => connected))
  const load = keep(new DemoLoad(instances))
  let sent = 0
  const sending = setInterval(() => notify(sandbox, sent++), eventMs)
  running.push({ stop: async () => clearInterval(sending) })
  say(`\nTwo listen, one at ${holder.name}, one at another; the API sends an event every ${eventMs} ms; requests go to all three.`)
  await pause(beforeMs, terminal.interrupted)
  say(`\nkill -9 ${holder.name}`)
  const killedAt = performance.now()
  holder.kill()
  const next = await findHolder(others, terminal.interrupted)
  say(`  ${next.name} has the channel after ${((performance.now() - killedAt) / 1000).toFixed(1)} s`)
  await pause(afterMs, terminal.interrupted)
  clearInterval(sending)
  await pause(1_000, terminal.interrupted)
  await load.stop()
  return report(say, sent, listeners, load, sandbox)
}

function report (say: (text: string) => void, sent: number, listeners: DemoListener[], load: DemoLoad, sandbox: Sandbox): number {
  say(`\n${sent} events were sent:`)
  for (const [index, listener] of listeners.entries()) {
    say(`  listener ${index + 1} heard ${listener.heard.length}, missed ${listener.missed(sent)}, heard twice ${listener.doubled}, was told of ${describeGaps(listener.gaps)}${listener.connects > 1 ? '; it was connected to the killed one and went on at another' : ''}`)
  }
  say(`${load.answered} requests were answered, ${load.failed} broke off with the killed instance`)
  say(`The API had ${sandbox.connections().webSockets} channel socket at the end, and never had to send one away: ${sandbox.channel()?.displaced === 0 ? 'right' : 'not right'}`)
  const whole = listeners.every(listener => listener.missed(sent) === 0 && listener.doubled === 0)
  if (!whole) say('What was missed the API had sent to the killed process, which had not read it, or was dead already and the API had not noticed: the API does not send it again.')
  say('The gap (holder_lost) is told once for each instance that ended without letting go of the channel: nobody can know what it had received.')
  return 0
}

function describeGaps (gaps: readonly string[]): string {
  return gaps.length === 0 ? 'no gap' : `${gaps.length} gap${gaps.length === 1 ? '' : 's'} (${gaps.join(', ')})`
}

async function startInstance (terminal: Terminal, folder: string, index: number, sandbox: Sandbox, redis: LocalServer, postgres: LocalServer): Promise<Instance> {
  const own = join(folder, `instance-${index + 1}`)
  await mkdir(own)
  await writeFile(join(own, 'ca.pem'), sandbox.caPem)
  await writeFile(join(own, 'access-key'), sandbox.accessKey, { mode: 0o600 })
  const environment = {
    IZUMA_API_HOST: sandbox.origin,
    IZUMA_CA_FILE: join(own, 'ca.pem'),
    IZUMA_ACCESS_KEY_FILE: join(own, 'access-key'),
    PROXY_LISTEN: '127.0.0.1:0',
    PROXY_LOG_PRETTY: 'false',
    PROXY_CHANNEL: 'always',
    PROXY_TRAIL: postgres.url,
    PROXY_TRAIL_JOURNAL: join(own, 'journal'),
    PROXY_REDIS_URL: redis.url
  }
  const child = spawn(terminal.self.execPath, [terminal.self.script, 'start'], { cwd: own, env: { PATH: terminal.environment['PATH'], ...environment }, stdio: ['ignore', 'pipe', 'inherit'] })
  return { name: `instance ${index + 1}`, url: await readUrl(child), kill: () => child.kill('SIGKILL'), stop: () => end(child) }
}

/** From the first line that it logs once it listens. */
async function readUrl (child: ChildProcess): Promise<string> {
  let text = ''
  for await (const chunk of child.stdout?.iterator({ destroyOnReturn: false }) ?? []) {
    text += String(chunk)
    const line = text.split('\n').find(line => line.includes('"msg":"listening"') && line.endsWith('}'))
    if (line === undefined) continue
    child.stdout?.resume()
    return (JSON.parse(line) as { url: string }).url
  }
  throw new Error(`an instance did not start:\n${text}`)
}

async function end (child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  await gone
}

function notify (sandbox: Sandbox, number: number): void {
  const payload = Buffer.from(String(number)).toString('base64')
  sandbox.notify({ kind: 'notifications', item: { ep: '0'.repeat(32), path: '/3303/0/5700', ct: 'text/plain', payload, 'max-age': 0 } })
}

/** Throws when the demo is interrupted, so that everything is taken down. */
async function pause (ms: number, interrupted: AbortSignal): Promise<void> {
  const { setTimeout: wait } = await import('node:timers/promises')
  await wait(ms, undefined, { signal: interrupted })
}
