import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { startSandbox, type Sandbox } from '../../src/sandbox/index.ts'
import { notify, payloads } from './channel-proxy.ts'
import { ask } from './client.ts'
import { EventSource } from './event-source.ts'
import type { PostgresServer } from './postgres.ts'
import { startProcess, type ProxyProcess } from './process.ts'
import type { RedisServer } from './redis.ts'
import { startRelay, type Relay } from './relay.ts'
import { makeToken } from './team-server.ts'
import { waitFor } from './wait-for.ts'

export type Blow = 'stop' | 'kill' | 'pause' | 'cut'

/** What listeners are told after each: who stops leaves nothing behind, and of all others nobody can know. */
export const gapsAfter: Record<Blow, string[]> = { stop: [], kill: ['holder_lost'], pause: ['holder_lost'], cut: ['holder_lost'] }

interface Member { process: ProxyProcess, relay: Relay, folder: string, down: boolean }

/** What a takeover cost. */
export interface Takeover { blow: Blow, ms: number, displaced: number }

/** Instances as processes, of a team with one member, each with its own way to Redis, over a sandbox that sends events all the time. */
export class FleetOfProcesses {
  readonly api: Sandbox
  readonly #t: Test
  readonly #environment: (relay: Relay) => Record<string, string>
  readonly #root = mkdtempSync(join(tmpdir(), 'izuma-fleet-'))
  readonly #redis: RedisServer
  #members: Member[] = []
  #sending: NodeJS.Timeout | undefined
  readonly #member = makeToken()
  sent = 0

  private constructor (t: Test, api: Sandbox, redis: RedisServer, trail: string) {
    this.#t = t
    this.api = api
    this.#redis = redis
    writeFileSync(join(this.#root, 'ca.pem'), api.caPem)
    writeFileSync(join(this.#root, 'access-key'), api.accessKey, { mode: 0o600 })
    writeFileSync(join(this.#root, 'team.json'), JSON.stringify({ members: { ada: { tokens: [this.#member.entry], role: 'admin' } } }))
    this.#environment = relay => ({
      IZUMA_API_HOST: api.origin,
      IZUMA_CA_FILE: join(this.#root, 'ca.pem'),
      IZUMA_ACCESS_KEY_FILE: join(this.#root, 'access-key'),
      PROXY_LISTEN: '127.0.0.1:0',
      PROXY_CHANNEL: 'always',
      PROXY_TRAIL: trail,
      PROXY_TEAM_FILE: join(this.#root, 'team.json'),
      PROXY_REDIS_URL: `redis://127.0.0.1:${relay.port}`
    })
  }

  static async start (t: Test, count: number, { redis, postgres }: { redis: RedisServer, postgres: PostgresServer }): Promise<FleetOfProcesses> {
    const api = await startSandbox({ quiet: true, devices: 20 })
    t.teardown(() => api.close())
    const fleet = new FleetOfProcesses(t, api, redis, await postgres.createDatabase())
    t.teardown(() => fleet.#end())
    await Promise.all(Array.from({ length: count }, (_, n) => fleet.#add(n)))
    await fleet.holder()
    return fleet
  }

  /** The member's. */
  get token (): string { return this.#member.token }

  get headers (): { authorization: string } { return this.#member.headers }

  get urls (): string[] { return this.#members.filter(({ down }) => !down).map(({ process }) => process.url) }

  /** The instance that holds the channel, once its socket is open. */
  async holder (otherThan?: ProxyProcess): Promise<Member> {
    const find = async () => {
      for (const member of this.#members.filter(({ down, process }) => !down && process !== otherThan)) if (await this.#holds(member)) return member
      return undefined
    }
    return await waitFor('a holder', find, member => member !== undefined, 30_000) as Member
  }

  send (everyMs: number): void {
    this.#sending = setInterval(() => notify(this.api, String(this.sent++)), everyMs)
  }

  quiet (): void { clearInterval(this.#sending) }

  /** Takes the holder away in one way or another, waits for the next one, and brings it back. */
  async takeOver (blow: Blow, everyMs: number, settled: () => Promise<void>): Promise<Takeover> {
    const member = await this.holder()
    const displaced = this.api.channel()?.displaced ?? 0
    // What a killed process has taken from the API and not handed on is gone with it: the API won't send it again.
    if (blow === 'kill') {
      this.quiet()
      await settled()
    }
    const start = performance.now()
    const struck = this.#strike(member, blow)
    if (blow === 'kill') await struck.then(() => this.send(everyMs))
    await this.holder(member.process)
    const ms = Math.round(performance.now() - start)
    await struck
    await this.#bringBack(member, blow)
    return { blow, ms, displaced: (this.api.channel()?.displaced ?? 0) - displaced }
  }

  async #strike (member: Member, blow: Blow): Promise<void> {
    member.down = true
    if (blow === 'pause') member.process.child.kill('SIGSTOP')
    else if (blow === 'cut') await member.relay.cut()
    else await member.process.stop(blow === 'kill' ? 'SIGKILL' : 'SIGTERM')
  }

  async #bringBack (member: Member, blow: Blow): Promise<void> {
    if (blow === 'pause') member.process.child.kill('SIGCONT')
    else if (blow === 'cut') await member.relay.restore()
    else await this.#add(this.#members.indexOf(member))
    member.down = false
    await waitFor('the return', () => this.#lease(member), lease => lease === 'elsewhere', 30_000)
  }

  async #add (index: number): Promise<void> {
    const before = this.#members[index]
    const relay = before?.relay ?? await startRelay(this.#redis.port)
    const folder = before?.folder ?? mkdtempSync(join(this.#root, 'instance-'))
    const process = await startProcess(this.#t, [], { cwd: folder, environment: this.#environment(relay) })
    if (before) Object.assign(before, { process })
    else this.#members[index] = { process, relay, folder, down: false }
  }

  async #holds (member: Member): Promise<boolean> {
    const channel = await this.#status(member)
    return channel?.fleet.lease === 'here' && channel.state === 'open'
  }

  async #lease (member: Member): Promise<string | undefined> { return (await this.#status(member))?.fleet.lease }

  async #status ({ process }: Member): Promise<{ state: string, fleet: { lease: string } } | undefined> {
    try {
      const { text } = await ask(process.url, '/_proxy/status', { headers: this.headers, timeout: 5_000 })
      return (JSON.parse(text) as { parts: { channel: { details: { state: string, fleet: { lease: string } } } } }).parts.channel.details
    } catch {
      return undefined
    }
  }

  async #end (): Promise<void> {
    this.quiet()
    for (const { process, relay } of this.#members) {
      process.child.kill('SIGCONT')
      process.child.kill('SIGKILL')
      await relay.close()
    }
    rmSync(this.#root, { recursive: true, force: true })
  }
}

/** A listener that comes back: to another instance, behind the event it had last. */
export class Follower {
  readonly items: unknown[] = []
  readonly #gaps: string[] = []
  connects = 0
  readonly #fleet: Pick<FleetOfProcesses, 'urls' | 'token'>
  #stream: EventSource | undefined
  #stopped = false
  readonly #running: Promise<void>

  constructor (fleet: Pick<FleetOfProcesses, 'urls' | 'token'>, offset: number) {
    this.#fleet = fleet
    this.#running = this.#run(offset)
  }

  /** In the order in which they were heard. */
  get heard (): string[] { return payloads([...this.items, ...this.#stream?.items ?? []]) }

  /** Reasons, in their order. */
  get gaps (): string[] { return [...this.#gaps, ...this.#stream?.gaps ?? []].map(data => (JSON.parse(data) as { reason: string }).reason) }

  async stop (): Promise<void> {
    this.#stopped = true
    this.#stream?.close()
    await this.#running
  }

  async #run (offset: number): Promise<void> {
    let lastId: string | undefined
    for (let turn = offset; !this.#stopped; turn++) {
      const { urls, token } = this.#fleet
      const stream = await EventSource.open({ url: urls[turn % urls.length] ?? '' }, token, lastId).catch(() => undefined)
      if (stream === undefined) {
        await new Promise(resolve => setTimeout(resolve, 100))
        continue
      }
      this.connects++
      this.#stream = stream
      await stream.over
      this.items.push(...stream.items)
      this.#gaps.push(...stream.gaps)
      this.#stream = undefined
      lastId = stream.lastId || lastId
    }
  }
}
