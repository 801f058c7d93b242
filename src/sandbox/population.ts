import { matches } from './filters.ts'
import type { Filter } from './filters.ts'
import type { DeviceData, DeviceState } from './fleet.ts'
import { Fleet, readValue } from './fleet.ts'
import type { Identifiers } from './identifiers.ts'
import { models } from './models.ts'
import type { DeviceModel, ResourceModel } from './models.ts'
import { makePage } from './pagination.ts'
import type { ListQuery, Page } from './pagination.ts'

/** How many devices are looked at before other requests get their turn. */
const scanSlice = 2_000

/**
 * The device directory: the fleet, with what has been changed, added and deleted since. A device's ordinal is its place
 * in the list, first the fleet's by index, then the added ones; it outlives the device, so that paging goes on after
 * one that was deleted meanwhile.
 */
export class Population {
  readonly fleet: Fleet
  readonly #ids: Identifiers
  readonly #seed: number
  readonly #changes = new Map<string, Partial<DeviceData>>()
  readonly #deleted = new Set<number>()
  readonly #added: DeviceData[] = []
  readonly #ordinals = new Map<string, number>()
  readonly #written = new Map<string, string>()

  constructor (options: { devices: number, seed: number }, accountId: string, ids: Identifiers) {
    this.fleet = new Fleet(options.devices, options.seed, accountId)
    this.#seed = options.seed
    this.#ids = ids
  }

  get count (): number { return this.#end - this.#deleted.size }

  get #end (): number { return this.fleet.size + this.#added.length }

  /** -1 for an id that never was. */
  ordinalOf (id: string): number { return this.#ordinals.get(id) ?? this.fleet.indexOf(id) }

  get (id: string): DeviceData | undefined { return this.at(this.ordinalOf(id)) }

  at (ordinal: number): DeviceData | undefined {
    if (ordinal < 0 || this.#deleted.has(ordinal)) return undefined
    if (ordinal >= this.fleet.size) return this.#added[ordinal - this.fleet.size]
    const device = this.fleet.deviceAt(ordinal)
    const changes = this.#changes.get(device.id)
    return changes === undefined ? device : { ...device, ...changes } as DeviceData
  }

  create (fields: Partial<DeviceData>): DeviceData {
    const now = this.#ids.now()
    const template = this.fleet.deviceAt(this.fleet.size)
    const device = { ...template, ...fields, id: this.#ids.next(), created_at: now, updated_at: now, etag: now } as DeviceData
    this.#ordinals.set(device.id, this.#end)
    this.#added.push(device)
    return device
  }

  update (id: string, fields: Partial<DeviceData>): DeviceData | undefined {
    const ordinal = this.ordinalOf(id)
    const device = this.at(ordinal)
    if (device === undefined) return undefined
    const now = this.#ids.now()
    const changes = { ...fields, updated_at: now, etag: now } as Partial<DeviceData>
    if (ordinal >= this.fleet.size) Object.assign(device, changes)
    else this.#changes.set(id, { ...this.#changes.get(id), ...changes })
    return this.at(ordinal)
  }

  delete (id: string): boolean {
    const ordinal = this.ordinalOf(id)
    if (this.at(ordinal) === undefined) return false
    this.#deleted.add(ordinal)
    this.#changes.delete(id)
    return true
  }

  setState (id: string, state: DeviceState): void { this.update(id, { state }) }

  modelOf (device: DeviceData): DeviceModel {
    return models.find(model => model.type === device.endpoint_type) ?? models[0] as DeviceModel
  }

  resourceOf (device: DeviceData, path: string): ResourceModel | undefined {
    return this.modelOf(device).resources.find(resource => resource.path === path)
  }

  /** What the device would say now. `step` counts whole seconds. */
  read (device: DeviceData, resource: ResourceModel, step: number): string {
    const written = this.#written.get(device.id + resource.path)
    return written ?? readValue(resource, this.#seed + this.ordinalOf(device.id), step)
  }

  write (device: DeviceData, resource: ResourceModel, value: string): void {
    this.#written.set(device.id + resource.path, value)
  }

  /** A page of the list. Without filters it costs as much as the page is long, with them as far as it has to look. */
  async list (query: ListQuery): Promise<Page<DeviceData>> {
    const step = query.order === 'DESC' ? -1 : 1
    const after = query.after === undefined ? -1 : this.ordinalOf(query.after)
    const names = query.filters.map(({ field }) => field)
    const counting = query.totalCount && query.filters.length > 0
    const found: number[] = []
    let total = 0
    let looked = 0
    for (const ordinal of this.#ordinalsFor(query, counting ? -1 : after, step)) {
      if (++looked % scanSlice === 0) await new Promise(resolve => setImmediate(resolve))
      if (!this.#fits(ordinal, query.filters, names)) continue
      total++
      if (found.length <= query.limit && isPast(ordinal, after, step)) found.push(ordinal)
      if (!counting && found.length > query.limit) break
    }
    const data = found.slice(0, query.limit).map(ordinal => this.at(ordinal) as DeviceData)
    return makePage(query, data, found.length > query.limit, counting ? total : this.count)
  }

  /** A device that nobody has changed is judged by the fields in question alone, without making the rest. */
  #fits (ordinal: number, filters: Filter[], names: string[]): boolean {
    if (ordinal < 0 || this.#deleted.has(ordinal)) return false
    const untouched = ordinal < this.fleet.size && (this.#changes.size === 0 || !this.#changes.has(this.fleet.idAt(ordinal)))
    return matches(untouched ? this.fleet.fieldsAt(ordinal, names) : this.at(ordinal) as DeviceData, filters)
  }

  /** The places to look at, in the list's order; filters by id need no walk through the fleet. */
  * #ordinalsFor (query: ListQuery, after: number, step: 1 | -1): Generator<number> {
    const byId = query.filters.find(({ field, operator }) => field === 'id' && (operator === 'eq' || operator === 'in'))
    if (byId !== undefined) {
      yield * [...new Set(byId.values.map(id => this.ordinalOf(id)))].sort((a, b) => (a - b) * step)
      return
    }
    const end = this.#end
    const first = step === 1 ? after + 1 : (after < 0 ? end : after) - 1
    for (let ordinal = first; ordinal >= 0 && ordinal < end; ordinal += step) yield ordinal
  }
}

function isPast (ordinal: number, after: number, step: 1 | -1): boolean {
  return after < 0 || (ordinal - after) * step > 0
}
