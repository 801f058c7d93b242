/**
 * The channel under load, against the sandbox: node test/bench/channel.ts [seconds [scenario]]
 *
 * Three processes, as in life: the API (sandbox), the proxy's rooms, and all members. Prints one line of JSON for each
 * scenario and exits with 1 if a figure is missed. On two cores that are shared with everything else the times are
 * those of the machine as much as of the proxy: delivery, order and the count of sockets are what must hold.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket, WebSocketServer } from 'ws'
import type { Sandbox } from '../../src/sandbox/index.ts'
import { startSandbox } from '../../src/sandbox/index.ts'
import { startChannelProxy, type ChannelProxy } from '../support/channel-proxy.ts'

const seconds = Number(process.argv[2] ?? 5)
const scratch = { teardown () {} }

/** A process of this file that carries out requests by name. */
class Role {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (value: never) => void>()
  #next = 0

  constructor (name: string) {
    this.#child = fork(import.meta.filename, [name], { execArgv: ['--expose-gc'] })
    this.#child.on('message', ({ id, value }: { id: number, value: never }) => this.#waiting.get(id)?.(value))
  }

  async do<T> (what: string, ...args: unknown[]): Promise<T> {
    const id = this.#next++
    this.#child.send({ id, what, args })
    return await new Promise<T>(resolve => this.#waiting.set(id, resolve as never))
  }

  end (): void { this.#child.kill('SIGKILL') }
}

type Requests = Record<string, (...args: never[]) => unknown>

function serve (requests: Requests): void {
  process.on('message', async ({ id, what, args }: { id: number, what: string, args: never[] }) => {
    process.send?.({ id, value: await requests[what]?.(...args) ?? null })
  })
}

function sandboxRole (): Requests {
  let api: Sandbox
  let most = 0
  let sent = 0
  const watch = () => { most = Math.max(most, api.connections().webSockets) }
  return {
    async start () {
      api = await startSandbox({ quiet: true, devices: 5, batchMs: 0, keepReceived: 100 })
      return { origin: api.origin, accessKey: api.accessKey, caPem: api.caPem }
    },
    /** So many messages a second, each of a number, the time and padding. */
    async send (perSecond: number, count: number, bytes: number) {
      const start = performance.now()
      for (let n = 0; n < count; n++) {
        const waitMs = start + n * 1000 / perSecond - performance.now()
        if (waitMs > 1) await sleep(waitMs)
        api.notify({ kind: 'notifications', item: makeItem(sent++, bytes) })
        watch()
      }
      return sent
    },
    /** Ends every WebSocket again and again, in every way the API does. */
    async flap (times: number, everyMs: number) {
      const codes = [1012, undefined, 1011, undefined]
      for (let n = 0; n < times; n++) {
        api.closeWebSockets(codes[n % codes.length])
        for (let waited = 0; waited < everyMs; waited += 2) {
          await sleep(2)
          watch()
        }
      }
    },
    most: () => most
  }
}

function proxyRole (): Requests {
  let proxy: ChannelProxy
  return {
    async start (api: Sandbox, folder: string, limits: object) {
      proxy = await startChannelProxy(scratch, { api, folder, limits, environment: { PROXY_LOG_LEVEL: 'silent' } })
      return proxy.url
    },
    status: () => proxy.status(),
    cpuMs: () => Math.round((process.cpuUsage().user + process.cpuUsage().system) / 1000),
    rss () {
      for (let n = 0; n < 3; n++) globalThis.gc?.()
      return process.memoryUsage.rss()
    }
  }
}

/** The same messages to the same listeners from nothing but `ws`: what this machine can do at this moment. */
function bareRole (): Requests {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
  return {
    start: () => `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    async send (perSecond: number, count: number, bytes: number) {
      const start = performance.now()
      for (let n = 0; n < count; n++) {
        const waitMs = start + n * 1000 / perSecond - performance.now()
        if (waitMs > 1) await sleep(waitMs)
        const text = JSON.stringify({ notifications: [makeItem(n, bytes)] })
        for (const client of server.clients) client.send(text)
      }
    }
  }
}

/** A member that keeps what it heard: the numbers, in order, and how long each took. */
class Member {
  readonly numbers: number[] = []
  readonly latencies: number[] = []
  readonly #url: string
  readonly #name: string
  socket!: WebSocket

  constructor (url: string, name: string) {
    this.#url = url.replace('http', 'ws') + '/v2/notification/websocket-connect'
    this.#name = name
  }

  connect (): void {
    this.socket = new WebSocket(this.#url, { perMessageDeflate: false, headers: { authorization: `Bearer ${this.#name}` } })
    this.socket.on('error', () => {})
    this.socket.on('message', (data: Buffer) => this.#hear(data))
  }

  /** Without parsing the message: this process must keep up with 25,000 of them a second. Several may have come as one. */
  #hear (message: Buffer): void {
    const now = performance.timeOrigin + performance.now()
    for (let start = message.indexOf('#'); start !== -1; start = message.indexOf('#', start + 1)) {
      const [number, sentAt] = message.toString('latin1', start + 1, start + 60).split('/', 2)
      this.numbers.push(Number(number))
      this.latencies.push(now - Number(sentAt))
    }
  }

  async open (): Promise<void> {
    this.connect()
    await new Promise(resolve => this.socket.once('open', resolve))
  }
}

/** Number and time where a listener finds them without parsing the message. */
function makeItem (number: number, bytes: number): Record<string, unknown> {
  return { ep: '0'.repeat(32), path: `#${number}/${performance.timeOrigin + performance.now()}/`, ct: 'text/plain', payload: 'A'.repeat(bytes), 'max-age': 0 }
}

interface World { sandbox: Role, proxy: Role, url: string }

async function startWorld (limits: object = {}): Promise<World & { end: () => void }> {
  const [sandbox, proxy] = [new Role('sandbox'), new Role('proxy')]
  const folder = mkdtempSync(join(tmpdir(), 'bench-channel-'))
  const url = await proxy.do<string>('start', await sandbox.do('start'), folder, limits)
  const end = () => {
    sandbox.end()
    proxy.end()
    rmSync(folder, { recursive: true, force: true })
  }
  return { sandbox, proxy, url, end }
}

async function until (enough: () => boolean | Promise<boolean>, timeoutMs: number): Promise<void> {
  for (const deadline = performance.now() + timeoutMs; !await enough() && performance.now() < deadline;) await sleep(20)
}

const isOpen = async ({ proxy }: World) => (await proxy.do<{ state: string }>('status')).state === 'open'

function quantile (values: number[], part: number): number {
  return Math.round([...values].sort((a, b) => a - b)[Math.floor(values.length * part)] ?? 0)
}

/** 500 members, 50 messages of 1 KiB a second to each: everything arrives, in order, soon. */
async function measureFanOut () {
  const world = await startWorld()
  const members = Array.from({ length: 500 }, (_, n) => new Member(world.url, `member-${n}`))
  await Promise.all(members.map(member => member.open()))
  await until(() => isOpen(world), 5_000)
  const count = 50 * seconds
  const cpuMs = await world.proxy.do<number>('cpuMs')
  await world.sandbox.do('send', 50, count, 1024)
  await until(() => members.every(({ numbers }) => numbers.length >= count), 10_000)
  const latencies = members.flatMap(({ latencies }) => latencies)
  const figures = {
    scenario: 'fan-out',
    delivered: members.reduce((sum, { numbers }) => sum + numbers.length, 0),
    of: count * 500,
    in_order: members.every(({ numbers }) => numbers.every((number, n) => number === n)),
    cpu_us_a_delivery: Math.round((await world.proxy.do<number>('cpuMs') - cpuMs) * 1000 / (count * 500)),
    p50_ms: quantile(latencies, 0.5),
    p99_ms: quantile(latencies, 0.99)
  }
  world.end()
  const bareP99Ms = await measureBare(count)
  // On a machine that is busy with something else the limit follows what the bare library reaches there.
  return { ...figures, bare_ws_p99_ms: bareP99Ms, passed: figures.delivered === figures.of && figures.in_order && figures.p99_ms <= Math.max(250, 4 * bareP99Ms) }
}

async function measureBare (count: number): Promise<number> {
  const bare = new Role('bare')
  const url = await bare.do<string>('start')
  const members = Array.from({ length: 500 }, () => new Member(url, 'x'))
  await Promise.all(members.map(member => member.open()))
  await bare.do('send', 50, count, 1024)
  await until(() => members.every(({ numbers }) => numbers.length >= count), 10_000)
  bare.end()
  return quantile(members.flatMap(({ latencies }) => latencies), 0.99)
}

/** 500 members that all connect again at once, five times, while the API ends the channel's socket again and again. */
async function measureStorm () {
  const world = await startWorld()
  const members = Array.from({ length: 500 }, (_, n) => new Member(world.url, `member-${n}`))
  await Promise.all(members.map(member => member.open()))
  await until(() => isOpen(world), 5_000)
  const traffic = world.sandbox.do<number>('send', 50, 50 * 6, 256)
  const flapping = world.sandbox.do('flap', 12, 400)
  for (let round = 0; round < 5; round++) {
    await sleep(900)
    for (const { socket } of members) socket.terminate()
    await Promise.all(members.map(member => member.open()))
  }
  const sent = await traffic
  await flapping
  const heard = () => members.map(({ numbers }) => new Set(numbers).size)
  await until(() => heard().every(size => size === sent), 10_000)
  const figures = {
    scenario: 'reconnect storm',
    upstream_sockets_most: await world.sandbox.do<number>('most'),
    upstream_connects: (await world.proxy.do<{ connects: number }>('status')).connects,
    members_that_heard_all: heard().filter(size => size === sent).length,
    of: 500,
    repeated: members.reduce((sum, { numbers }) => sum + numbers.length, 0) - heard().reduce((sum, size) => sum + size, 0)
  }
  world.end()
  return { ...figures, passed: figures.upstream_sockets_most === 1 && figures.members_that_heard_all === 500 }
}

/** What readers that stall cost the proxy, against the same traffic without them. */
async function measureStalled () {
  const world = await startWorld({ stallMs: 120_000 })
  const fast = new Member(world.url, 'fast')
  await fast.open()
  await until(() => isOpen(world), 5_000)
  const broadcast = async () => {
    const sent = await world.sandbox.do<number>('send', 1_000, 60, 1024 * 1024)
    await until(() => fast.numbers.at(-1) === sent - 1, 20_000)
    return await world.proxy.do<number>('rss')
  }
  await broadcast()
  const before = await broadcast()
  const stalled = Array.from({ length: 40 }, (_, n) => new Member(world.url, `stalled-${n}`))
  await Promise.all(stalled.map(member => member.open()))
  for (const { socket } of stalled) socket.pause()
  const after = await broadcast()
  const each = (after - before) / stalled.length / 1024 / 1024
  const figures = { scenario: 'stalled readers', readers: stalled.length, broadcast_mib: 60, mib_each: Math.round(each * 100) / 100 }
  world.end()
  return { ...figures, passed: each <= 1.5 }
}

async function main (): Promise<void> {
  const scenarios = { 'fan-out': measureFanOut, storm: measureStorm, stalled: measureStalled }
  const wanted = process.argv[3]
  let passed = true
  for (const [name, measure] of Object.entries(scenarios)) {
    if (wanted !== undefined && wanted !== name) continue
    const figures = await measure()
    passed &&= figures.passed
    console.log(JSON.stringify(figures))
  }
  process.exit(passed ? 0 : 1)
}

const role = process.argv[2]
if (role === 'sandbox') serve(sandboxRole() as Requests)
else if (role === 'proxy') serve(proxyRole() as Requests)
else if (role === 'bare') serve(bareRole())
else await main()
