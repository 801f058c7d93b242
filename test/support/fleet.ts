import type { Test } from 'tap'
import { startSandbox, type Sandbox } from '../../src/sandbox/index.ts'
import { payloads, startChannelProxy, type ChannelProxy, type ChannelProxyOptions, type Listening } from './channel-proxy.ts'
import { waitFor } from './wait-for.ts'

export interface Fleet { api: Sandbox, instances: ChannelProxy[], holder: () => ChannelProxy, others: () => ChannelProxy[] }

export interface FleetOptions extends ChannelProxyOptions {
  redisUrl: string
  /** Each instance's own way to Redis. */
  urls: string[]
}

let fleets = 0

export const holds = (instance: ChannelProxy) => (instance.status()['fleet'] as { holds_lease: number }).holds_lease === 1

/** Several instances in this process, over one sandbox and a real Redis. */
export async function startFleet (t: Test, count: number, { redisUrl, urls = [], ...options }: Partial<FleetOptions>): Promise<Fleet> {
  const api = await startSandbox({ quiet: true, devices: 20, deviceReplyMs: 5, ...options.sandbox })
  const prefix = `fleet${++fleets}:`
  const instances: ChannelProxy[] = []
  for (let n = 0; n < count; n++) {
    const environment = { PROXY_REDIS_URL: urls[n] ?? redisUrl ?? '', PROXY_REDIS_PREFIX: prefix, ...options.environment }
    instances.push(await startChannelProxy(t, { ...options, api, environment }))
  }
  t.teardown(() => api.close())
  await waitFor('a holder', () => instances.filter(holds).length, count => count === 1, 10_000)
  return { api, instances, holder: () => instances.find(holds) as ChannelProxy, others: () => instances.filter(instance => !holds(instance)) }
}

/** A member's WebSocket that connects again where it is told to (1012). */
export class Returning {
  /** Close codes, in their order. */
  readonly codes: number[] = []
  readonly #connections: Listening[] = []
  readonly #instance: () => ChannelProxy
  readonly #member: string

  /** `next`: the instance that it comes back to. */
  constructor (instance: ChannelProxy, member: string, next = instance) {
    this.#instance = () => this.#connections.length === 0 ? instance : next
    this.#member = member
    this.#connect()
  }

  get opened (): Promise<void> { return (this.#connections[0] as Listening).opened }

  /** What `notify` sent, in the order in which it was heard. */
  get heard (): string[] { return payloads(this.#connections.flatMap(connection => connection.items('notifications'))) }

  async until (count: number, timeoutMs?: number): Promise<string[]> {
    return await waitFor(`${count} events`, () => this.heard, heard => heard.length >= count, timeoutMs)
  }

  #connect (): void {
    const connection = this.#instance().connect(this.#member)
    this.#connections.push(connection)
    void connection.closed.then(({ code }) => {
      this.codes.push(code)
      if (code === 1012) this.#connect()
    })
  }
}
