import type { Channels } from './channels.ts'
import type { Events } from './events.ts'
import type { DeviceData } from './fleet.ts'
import type { Settled } from './options.ts'
import type { Population } from './population.ts'
import type { Timers } from './timers.ts'

export interface DeviceRequest {
  /** Under which id the answer comes. */
  asyncId: string
  /** Whose channel it comes on. */
  scope: string
  method: string
  /** Resource path, without a query. */
  path: string
  payload: string
  /** Attempts after the first. Default 0, in queue mode 2. */
  retry: number | undefined
  /** Default two hours, in queue mode three days. */
  expirySeconds: number | undefined
}

export interface Outcome { status: number, error?: string, payload?: string }

interface Queued { request: DeviceRequest, attempts: number, expires: () => void }

const maxQueued = 20
const hoursTwo = 7_200
const daysThree = 259_200

/** How a device behaves when it is spoken to. */
export type Reachability = 'reachable' | 'asleep' | 'silent'

/** Requests to devices: queued one by one for each device, answered on the asker's channel. */
export class DeviceRequests {
  readonly #queues = new Map<string, Queued[]>()
  readonly #busy = new Set<string>()
  readonly #reachability = new Map<string, Reachability>()
  readonly #population: Population
  readonly #channels: Channels
  readonly #events: Events
  readonly #options: Settled
  readonly #timers: Timers

  constructor (parts: { population: Population, channels: Channels, events: Events, options: Settled, timers: Timers }) {
    this.#population = parts.population
    this.#channels = parts.channels
    this.#events = parts.events
    this.#options = parts.options
    this.#timers = parts.timers
    parts.events.onContact(deviceId => this.#wake(deviceId))
    parts.events.onLoss(deviceId => this.#discardAll(deviceId, { status: 429, error: 'DEVICE_REMOVED_REGISTRATION' }))
  }

  /** `asleep`: takes requests at its next contact. `silent`: never answers, so that a request ends in TIMEOUT. */
  setReachability (deviceId: string, reachability: Reachability): void {
    this.#reachability.set(deviceId, reachability)
    if (reachability !== 'asleep') this.#work(deviceId)
  }

  queued (deviceId: string): number { return this.#queues.get(deviceId)?.length ?? 0 }

  isFull (deviceId: string): boolean { return this.queued(deviceId) >= maxQueued }

  enqueue (device: DeviceData, request: DeviceRequest): void {
    const queue = this.#queues.get(device.id) ?? []
    const seconds = request.expirySeconds ?? (this.#population.modelOf(device).queueMode ? daysThree : hoursTwo)
    const queued: Queued = { request, attempts: 0, expires: () => {} }
    queued.expires = this.#timers.after(seconds * this.#options.secondMs, () => this.#discard(device.id, queued, { status: 429, error: 'REQUEST_EXPIRED' }))
    this.#queues.set(device.id, [...queue, queued])
    this.#work(device.id)
  }

  answer (scope: string, asyncId: string, { payload, ...outcome }: Outcome): void {
    const body = payload === undefined ? {} : { payload: Buffer.from(payload).toString('base64'), ct: 'text/plain', 'max-age': 0 }
    this.#channels.push(scope, { kind: 'async-responses', item: { id: asyncId, ...outcome, ...body } })
  }

  /** The device has been in touch: one that slept takes what waits for it. */
  #wake (deviceId: string): void {
    if (this.queued(deviceId) > 0) this.#work(deviceId, true)
  }

  /** Delivers the queue in order, one request at a time. */
  #work (deviceId: string, awake = false): void {
    const reachability = this.#reachability.get(deviceId) ?? 'reachable'
    if (this.#busy.has(deviceId) || this.queued(deviceId) === 0 || (reachability === 'asleep' && !awake)) return
    this.#busy.add(deviceId)
    this.#timers.after(this.#options.deviceReplyMs, () => {
      this.#busy.delete(deviceId)
      const queued = this.#queues.get(deviceId)?.[0]
      if (queued === undefined) return
      const outcome = this.#perform(deviceId, queued)
      if (outcome !== undefined) this.#discard(deviceId, queued, outcome)
      this.#work(deviceId, awake)
    })
  }

  /** `undefined` when it is to be tried again. */
  #perform (deviceId: string, queued: Queued): Outcome | undefined {
    const device = this.#population.get(deviceId)
    if (device === undefined) return { status: 429, error: 'DEVICE_REMOVED_REGISTRATION' }
    if (device['lifecycle_status'] === 'blocked') return { status: 429, error: 'DEVICE_BLOCKED' }
    if (this.#reachability.get(deviceId) !== 'silent') return this.#ask(device, queued.request)
    const allowed = queued.request.retry ?? (this.#population.modelOf(device).queueMode ? 2 : 0)
    return queued.attempts++ < allowed ? undefined : { status: 504, error: 'TIMEOUT' }
  }

  /** What the device itself says. */
  #ask (device: DeviceData, { method, path, payload }: DeviceRequest): Outcome {
    const resource = this.#population.resourceOf(device, path)
    if (resource === undefined) return { status: 404, error: 'NOT_FOUND' }
    if (method === 'GET' && resource.executable !== true) {
      return { status: 200, payload: this.#population.read(device, resource, Math.floor(Date.now() / 1000)) }
    }
    if (method === 'POST' && resource.executable === true) return { status: 200 }
    if (method !== 'PUT' || resource.writable !== true) return { status: 405, error: 'METHOD_NOT_ALLOWED' }
    this.#population.write(device, resource, payload)
    this.#events.report(device.id, path)
    return { status: 200 }
  }

  #discard (deviceId: string, queued: Queued, outcome: Outcome): void {
    queued.expires()
    const left = this.#queues.get(deviceId)?.filter(other => other !== queued) ?? []
    if (left.length > 0) this.#queues.set(deviceId, left)
    else this.#queues.delete(deviceId)
    this.answer(queued.request.scope, queued.request.asyncId, outcome)
  }

  #discardAll (deviceId: string, outcome: Outcome): void {
    for (const queued of this.#queues.get(deviceId) ?? []) this.#discard(deviceId, queued, outcome)
  }
}
