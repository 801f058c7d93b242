import type { Channels } from './channels.ts'
import type { DeviceData } from './fleet.ts'
import type { Population } from './population.ts'
import { Subscriptions } from './subscriptions.ts'

/** What devices do, told to whom it concerns. */
export class Events {
  readonly #population: Population
  readonly #channels: Channels
  readonly #subscriptions = new Map<string, Subscriptions>()
  readonly #contacts: Array<(deviceId: string) => void> = []
  readonly #losses: Array<(deviceId: string) => void> = []

  constructor (population: Population, channels: Channels) {
    this.#population = population
    this.#channels = channels
  }

  subscriptionsOf (scope: string): Subscriptions {
    const present = this.#subscriptions.get(scope) ?? new Subscriptions()
    this.#subscriptions.set(scope, present)
    return present
  }

  /** Listens to devices that get in touch: what is queued for them can be delivered. */
  onContact (listener: (deviceId: string) => void): void { this.#contacts.push(listener) }

  /** Listens to devices that deregister: what is queued for them never will be. */
  onLoss (listener: (deviceId: string) => void): void { this.#losses.push(listener) }

  /** A full registration; it ends the manual subscriptions of the device, as the API's does. */
  register (deviceId: string): void {
    this.#enter(deviceId, 'registrations', () => {
      for (const subscriptions of this.#subscriptions.values()) subscriptions.remove(deviceId)
    })
  }

  updateRegistration (deviceId: string): void { this.#enter(deviceId, 'reg-updates') }

  deregister (deviceId: string): void { this.#leave(deviceId, 'de-registrations') }

  expire (deviceId: string): void { this.#leave(deviceId, 'registrations-expired') }

  /** The device reports a resource: what it reads, or `value`. Only subscribers hear of it. */
  report (deviceId: string, path: string, value?: string): void {
    const device = this.#population.get(deviceId)
    const resource = device && this.#population.resourceOf(device, path)
    if (device === undefined || resource === undefined) return
    if (value !== undefined) this.#population.write(device, resource, value)
    const text = this.#population.read(device, resource, Math.floor(Date.now() / 1000))
    const item = { ep: device.id, path, ct: 'text/plain', payload: Buffer.from(text).toString('base64'), 'max-age': 60 }
    for (const [scope] of this.#channels.all) {
      if (this.subscriptionsOf(scope).covers(device, path)) this.#channels.push(scope, { kind: 'notifications', item, originalEndpoint: device.endpoint_name })
    }
    this.#tellContact(deviceId)
  }

  #enter (deviceId: string, kind: 'registrations' | 'reg-updates', before = () => {}): void {
    const device = this.#population.get(deviceId)
    if (device === undefined) return
    before()
    this.#population.setState(deviceId, 'registered')
    this.#channels.broadcast({ kind, item: this.#describe(device), originalEndpoint: device.endpoint_name })
    this.#tellContact(deviceId)
  }

  #leave (deviceId: string, kind: 'de-registrations' | 'registrations-expired'): void {
    const device = this.#population.get(deviceId)
    if (device === undefined) return
    this.#population.setState(deviceId, 'deregistered')
    this.#channels.broadcast({ kind, item: { ep: deviceId }, originalEndpoint: device.endpoint_name })
    for (const listener of this.#losses) listener(deviceId)
  }

  #tellContact (deviceId: string): void {
    for (const listener of this.#contacts) listener(deviceId)
  }

  #describe (device: DeviceData): Record<string, unknown> {
    const model = this.#population.modelOf(device)
    const resources = model.resources.map(({ path, rt, observable }) => ({ path, rt, if: '', ct: 'text/plain', obs: observable }))
    return { ep: device.id, ept: device.endpoint_type, q: model.queueMode, resources }
  }
}
