import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Writable } from 'node:stream'
import Fastify, { LogController, type FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { WebSocket, type ClientOptions } from 'ws'
import accessKey from '../../src/access-key/plugin.ts'
import advice from '../../src/advice/plugin.ts'
import { handleErrors } from '../../src/answers.ts'
import channel from '../../src/channel/plugin.ts'
import type { ChannelLimits } from '../../src/channel/limits.ts'
import { loadSettings } from '../../src/config/load.ts'
import type { Member, TeamService } from '../../src/decorations.ts'
import { makeForwarding } from '../../src/forwarding.ts'
import guard, { listenerOptions, serverOptions } from '../../src/guard/plugin.ts'
import fleet from '../../src/fleet/plugin.ts'
import drain from '../../src/ops/drain-plugin.ts'
import health from '../../src/ops/health-plugin.ts'
import type { Health } from '../../src/ops/health.ts'
import upkeep from '../../src/ops/upkeep-plugin.ts'
import { startSandbox, type Sandbox, type SandboxOptions } from '../../src/sandbox/index.ts'
import trail from '../../src/trail/plugin.ts'
import type { OpenEntry, TrailRecord } from '../../src/trail/record.ts'
import upstream, { mountProxy } from '../../src/upstream/plugin.ts'
import { ask, type Answer } from './client.ts'
import { waitFor } from './wait-for.ts'

interface Test { teardown (work: () => unknown): void }

export interface ChannelProxyOptions {
  sandbox?: SandboxOptions
  /** An API that is there already, in place of a new one. */
  api?: Sandbox
  /** Folder of an earlier proxy, to start again in. */
  folder?: string
  environment?: Record<string, string>
  limits?: Partial<ChannelLimits>
  /** Devices that a member may see; whoever isn't named sees all. */
  devices?: Record<string, string[]>
}

export interface ChannelProxy {
  app: FastifyInstance
  api: Sandbox
  url: string
  folder: string
  /** Closed entries, oldest first. */
  entries: OpenEntry[]
  log: () => string
  /** A request of a member. */
  ask: (member: string, method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer>
  connect: (member: string, query?: string, options?: ClientOptions) => Listening
  /** What `status` says of the channel. */
  status: () => Record<string, unknown> & { state: string, listeners: Record<string, number> }
  /** Waits until the upstream channel is open. */
  ready: () => Promise<void>
  revoke: (member: string) => void
  rotateKey: (key: string) => void
  rows: (enough: (rows: TrailRecord[]) => boolean) => Promise<TrailRecord[]>
  close: () => Promise<void>
}

/** Delays short enough for tests; everything else as it is in earnest. */
const testLimits: Partial<ChannelLimits> = { timeScale: 0.02, pollWaitMs: 300, readyMs: 3_000, lingerMs: 60_000 }

/** The rooms of the proxy around the channel, over the sandbox; members are named by their token. */
export async function startChannelProxy (t: Test, options: ChannelProxyOptions = {}): Promise<ChannelProxy> {
  const api = options.api ?? await startSandbox({ quiet: true, devices: 20, deviceReplyMs: 5, ...options.sandbox })
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'izuma-channel-'))
  const keyFile = join(folder, 'access-key')
  writeFileSync(keyFile, api.accessKey, { mode: 0o600 })
  writeFileSync(join(folder, 'ca.pem'), api.caPem)
  const settings = loadSettings({
    flags: {},
    dotenv: {},
    environment: { IZUMA_API_HOST: api.origin, IZUMA_CA_FILE: join(folder, 'ca.pem'), IZUMA_ACCESS_KEY_FILE: keyFile, PROXY_LISTEN: '127.0.0.1:0', PROXY_TRAIL: `sqlite:${join(folder, 'trail.db')}`, ...options.environment }
  })
  let log = ''
  const stream = new Writable({ write (chunk, _encoding, done) { log += String(chunk); done() } })
  const app = Fastify({ ...listenerOptions(settings), http: serverOptions(settings), logger: { stream, level: 'debug' }, logController: new LogController({ disableRequestLogging: true }), forceCloseConnections: false }) as unknown as FastifyInstance
  const entries: OpenEntry[] = []
  const team = makeTeam(options.devices ?? {})
  const forwarding = makeForwarding(settings, app)
  handleErrors(app)
  await app.register(health, { settings, program: { version: 'test', node: '' }, redact: text => text })
  await app.register(trail, { settings, redact: text => text })
  app.trail.onClosed(entry => entries.push(entry))
  await app.register(drain)
  await app.register(upkeep, { settings })
  await app.register(accessKey, { settings })
  await app.register(guard, { settings })
  await app.register(fleet, { settings })
  await app.register(team.plugin)
  await app.register(advice, { settings, explain: () => null })
  await app.register(upstream, { settings, environment: {}, forwarding })
  await app.register(channel, { settings, hygiene: forwarding, limits: { ...testLimits, ...options.limits } })
  await app.register(mountProxy)
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  let closed: Promise<void> | undefined
  const close = () => (closed ??= drainAndClose(app))
  t.teardown(async () => {
    await close()
    if (options.api === undefined) await api.close()
    if (options.folder === undefined) rmSync(folder, { recursive: true, force: true })
  })
  const status = () => (app.health as Health).overview().parts['channel']?.details as ReturnType<ChannelProxy['status']>
  return {
    app,
    api,
    url,
    folder,
    entries,
    log: () => log,
    ask: (member, method, path, body, headers = {}) => askAs(url, member, method, path, body, headers),
    connect: (member, query = '', clientOptions = {}) => new Listening(`${url.replace('http', 'ws')}/v2/notification/websocket-connect${query}`, member, clientOptions),
    status,
    ready: async () => { await waitFor('the channel', () => status().state, state => state === 'open') },
    revoke: team.revoke,
    rotateKey: key => writeFileSync(keyFile, key),
    rows: enough => waitFor('the trail', () => readRows(join(folder, 'trail.db')), enough),
    close
  }
}

/** Ends the proxy as a signal would. */
async function drainAndClose (app: FastifyInstance): Promise<void> {
  app.health.beginDrain()
  app.server.closeIdleConnections()
  const force = setTimeout(() => app.server.closeAllConnections(), 500)
  await app.close()
  clearTimeout(force)
}

function askAs (url: string, member: string, method: string, path: string, body: unknown, headers: Record<string, string>): Promise<Answer> {
  const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
  const framing: Record<string, string> = text === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) }
  return ask(url, path, { method, headers: { authorization: `Bearer ${member}`, ...framing, ...headers }, ...text === undefined ? {} : { body: text } })
}

function makeTeam (devices: Record<string, string[]>) {
  const closers = new Map<string, Set<() => void>>()
  const service: Partial<TeamService> & { seesAllDevices: (member: Member) => boolean } = {
    judge: () => ({ allowed: true, decision: 'allow', rule: '' }),
    seesAllDevices: ({ name }) => devices[name] === undefined,
    maySeeDevice: ({ name }, device) => devices[name] === undefined || devices[name].includes(device),
    onRevoked ({ name }, close) {
      const own = closers.get(name) ?? new Set()
      closers.set(name, own.add(close))
      return () => { own.delete(close) }
    },
    list: () => [],
    reload () {}
  }
  const plugin = fp(async (app: FastifyInstance) => {
    app.decorate('team', service as TeamService)
    app.decorateRequest('member')
    app.addHook('onRequest', async request => {
      const name = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? 'nobody'
      request.member = { name, role: 'member' }
      request.entry.member = name
    })
  }, { name: 'team' })
  return { plugin, revoke: (member: string) => { for (const close of closers.get(member) ?? []) close() } }
}

/** A member's WebSocket and what came over it. */
export class Listening {
  readonly socket: WebSocket
  readonly messages: Array<Record<string, unknown>> = []
  readonly texts: string[] = []
  /** How many of the messages were here when the last ping came: for the proxy they have arrived. */
  acknowledged = 0
  readonly opened: Promise<void>
  /** Close code and reason. */
  readonly closed: Promise<{ code: number, reason: string }>

  constructor (url: string, member: string, options: ClientOptions) {
    this.socket = new WebSocket(url, { perMessageDeflate: false, ...options, headers: { authorization: `Bearer ${member}`, ...options.headers } })
    this.socket.on('message', data => {
      const text = String(data)
      this.texts.push(text)
      this.messages.push(JSON.parse(text) as Record<string, unknown>)
    })
    this.socket.on('ping', () => { this.acknowledged = this.messages.length })
    this.opened = new Promise((resolve, reject) => this.socket.once('open', resolve).once('error', reject))
    this.opened.catch(() => {})
    this.closed = new Promise(resolve => this.socket.once('close', (code, reason) => resolve({ code, reason: String(reason) })))
    this.socket.on('error', () => {})
  }

  /** All items that came under a key, in order. */
  items (key: string): unknown[] {
    return this.messages.flatMap(message => (message[key] ?? []) as unknown[])
  }

  async until (key: string, count: number, timeoutMs?: number): Promise<unknown[]> {
    return await waitFor(`${count} ${key}`, () => this.items(key), items => items.length >= count, timeoutMs)
  }

  /** Leaves once the proxy knows that everything so far has arrived. */
  async close (): Promise<void> {
    await waitFor('the acknowledgement', () => this.messages.length - this.acknowledged, left => left === 0)
    this.socket.close()
    await this.closed
  }
}

/** The ids that `notify` below put into payloads, in the order in which they came. */
export function payloads (items: unknown[]): string[] {
  return items.map(item => Buffer.from((item as { payload: string }).payload, 'base64').toString())
}

/** An event on the API's channel, its payload the text given. */
export function notify (api: Sandbox, text: string, device = '0'.repeat(32)): void {
  api.notify({ kind: 'notifications', item: { ep: device, path: '/3303/0/5700', ct: 'text/plain', payload: Buffer.from(text).toString('base64'), 'max-age': 0 } })
}

/** A device that is there, and a resource of it that can be read and observed. */
export function findSensor ({ devices }: Sandbox, skip = 0): { device: string, path: string } {
  for (let ordinal = 0, found = 0; ordinal < devices.count; ordinal++) {
    const device = devices.at(ordinal)
    const resource = device?.state === 'registered' ? devices.modelOf(device).resources.find(({ observable }) => observable) : undefined
    if (device && resource && found++ === skip) return { device: device.id, path: resource.path }
  }
  throw new Error('no device of the sandbox can be observed')
}

function readRows (file: string): TrailRecord[] {
  try {
    readFileSync(file)
    const store = new DatabaseSync(file, { readOnly: true })
    try {
      return store.prepare('SELECT * FROM trail ORDER BY seq').all() as unknown as TrailRecord[]
    } finally {
      store.close()
    }
  } catch {
    return []
  }
}
