import { hex, timestamp } from './identifiers.ts'
import { models, places } from './models.ts'
import type { DeviceModel, ResourceModel } from './models.ts'
import { mix, seededRandom } from './random.ts'

export type DeviceState = 'unenrolled' | 'cloud_enrolling' | 'bootstrapped' | 'registered' | 'deregistered'

/** A device as the device directory shows it. */
export interface DeviceData extends Record<string, unknown> {
  object: 'device'
  id: string
  name: string
  endpoint_name: string
  endpoint_type: string
  state: DeviceState
  created_at: string
  updated_at: string
}

const firstDeviceMs = Date.UTC(2021, 2, 1)
const ageMs = 1_000
const indexBase = 0x00100000

/**
 * The devices that were there from the start: each computed from the seed and its index alone, so that a million
 * of them take no memory. Ids rise with the index, which makes `after` a subtraction.
 */
export class Fleet {
  readonly size: number
  readonly #seed: number
  readonly #accountId: string

  constructor (size: number, seed: number, accountId: string) {
    this.size = size
    this.#seed = seed
    this.#accountId = accountId
  }

  idAt (index: number): string {
    return hex(firstDeviceMs + index * ageMs, 12) + '000000000001' + hex(indexBase + index, 8)
  }

  /** -1 when it is none of the fleet's ids. */
  indexOf (id: string): number {
    if (!/^[0-9a-f]{32}$/.test(id)) return -1
    const index = parseInt(id.slice(24), 16) - indexBase
    return index >= 0 && index < this.size && this.idAt(index) === id ? index : -1
  }

  modelAt (index: number): DeviceModel {
    return models[mix(this.#seed, index) % models.length] as DeviceModel
  }

  deviceAt (index: number): DeviceData {
    const random = seededRandom(mix(this.#seed + 1, index))
    const model = this.modelAt(index)
    const created = firstDeviceMs + index * ageMs
    const serial = `${model.deviceClass}-${String(100_000 + index)}`
    const state = pickState(random.next())
    const changed = timestamp(created + random.below(3_600_000))
    return {
      object: 'device',
      id: this.idAt(index),
      account_id: this.#accountId,
      name: `${titleOf(model.type)} ${String(index + 1).padStart(4, '0')}, ${random.pick(places)}`,
      description: '',
      endpoint_name: serial.toLowerCase(),
      endpoint_type: model.type,
      device_class: model.deviceClass,
      serial_number: serial,
      vendor_id: '',
      state,
      lifecycle_status: 'enabled',
      operator_suspended: false,
      system_suspended: false,
      mechanism: 'connector',
      mechanism_url: '',
      device_key: fingerprint(this.#seed, index),
      ca_id: '',
      device_execution_mode: random.next() < 0.1 ? 1 : 5,
      deployed_state: 'production',
      auto_update: false,
      host_gateway: '',
      net_id: '',
      custom_attributes: { site: `site-${1 + random.below(12)}` },
      component_attributes: {},
      groups: [],
      firmware_checksum: '',
      manifest: '',
      manifest_timestamp: null,
      bootstrap_expiration_date: '2035-01-01',
      connector_expiration_date: '2035-01-01',
      bootstrapped_timestamp: state === 'unenrolled' ? null : changed,
      enrolment_list_timestamp: timestamp(created),
      issuer_fingerprint: null,
      created_at: timestamp(created),
      updated_at: changed,
      etag: changed
    }
  }
}

/** Most of a healthy fleet is there, some have dropped out, a few wait in a box. */
function pickState (chance: number): DeviceState {
  if (chance < 0.84) return 'registered'
  if (chance < 0.93) return 'deregistered'
  if (chance < 0.97) return 'bootstrapped'
  return chance < 0.99 ? 'unenrolled' : 'cloud_enrolling'
}

function titleOf (type: string): string {
  return (type.charAt(0).toUpperCase() + type.slice(1)).replaceAll('-', ' ')
}

function fingerprint (seed: number, index: number): string {
  const words = Array.from({ length: 8 }, (_, word) => hex(mix(seed + word, index), 8)).join('')
  return words.match(/../g)?.join(':') ?? ''
}

/** What a resource reads at a moment: its text, or a number on a slow wave of its own, `step` being the time in whole steps. */
export function readValue (resource: ResourceModel, seed: number, step: number): string {
  if (typeof resource.value === 'string') return resource.value
  const { low, high, decimals } = resource.value
  const phase = (mix(seed, resource.path.length + low) % 1000) / 1000
  const wave = (Math.sin((step / 40 + phase) * 2 * Math.PI) + 1) / 2
  const noise = (mix(seed, step) % 1000) / 1000
  return (low + (high - low) * (0.85 * wave + 0.15 * noise)).toFixed(decimals)
}
