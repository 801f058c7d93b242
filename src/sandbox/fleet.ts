import { hex, timestamp } from './identifiers.ts'
import { models, places } from './models.ts'
import type { DeviceModel, ResourceModel } from './models.ts'
import { mix } from './random.ts'

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

/** What a field is computed from. Each takes salts of its own, so that no field depends on another having been asked for. */
interface Facts { index: number, seed: number, accountId: string }

type Field = (facts: Facts) => unknown

const constant = (value: unknown): Field => () => value
const modelOf = ({ seed, index }: Facts): DeviceModel => models[mix(seed, index) % models.length] as DeviceModel
const chance = ({ seed, index }: Facts, salt: number): number => mix(seed + 1000 * salt, index) / 0x100000000
const serialOf = (facts: Facts): string => `${modelOf(facts).deviceClass}-${100_000 + facts.index}`
const createdMs = ({ index }: Facts): number => firstDeviceMs + index * ageMs
const createdAt: Field = facts => timestamp(createdMs(facts))
const changedAt: Field = facts => timestamp(createdMs(facts) + Math.floor(chance(facts, 1) * 3_600_000))
const stateOf: Field = facts => pickState(chance(facts, 2))

const fields: Record<string, Field> = {
  object: constant('device'),
  id: ({ index }) => hex(firstDeviceMs + index * ageMs, 12) + '000000000001' + hex(indexBase + index, 8),
  account_id: ({ accountId }) => accountId,
  name: facts => `${titleOf(modelOf(facts).type)} ${String(facts.index + 1).padStart(4, '0')}, ${places[Math.floor(chance(facts, 3) * places.length)]}`,
  description: constant(''),
  endpoint_name: facts => serialOf(facts).toLowerCase(),
  endpoint_type: facts => modelOf(facts).type,
  device_class: facts => modelOf(facts).deviceClass,
  serial_number: serialOf,
  vendor_id: constant(''),
  state: stateOf,
  lifecycle_status: constant('enabled'),
  operator_suspended: constant(false),
  system_suspended: constant(false),
  mechanism: constant('connector'),
  mechanism_url: constant(''),
  device_key: ({ seed, index }) => Array.from({ length: 8 }, (_, word) => hex(mix(seed + word, index), 8).replace(/..(?!$)/g, '$&:')).join(':'),
  ca_id: constant(''),
  device_execution_mode: facts => chance(facts, 4) < 0.1 ? 1 : 5,
  deployed_state: constant('production'),
  auto_update: constant(false),
  host_gateway: constant(''),
  net_id: constant(''),
  custom_attributes: facts => ({ site: `site-${1 + Math.floor(chance(facts, 5) * 12)}` }),
  component_attributes: () => ({}),
  groups: () => [],
  firmware_checksum: constant(''),
  manifest: constant(''),
  manifest_timestamp: constant(null),
  bootstrap_expiration_date: constant('2035-01-01'),
  connector_expiration_date: constant('2035-01-01'),
  bootstrapped_timestamp: facts => stateOf(facts) === 'unenrolled' ? null : changedAt(facts),
  enrolment_list_timestamp: createdAt,
  issuer_fingerprint: constant(null),
  created_at: createdAt,
  updated_at: changedAt,
  etag: changedAt
}

const fieldNames = Object.keys(fields)

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

  idAt (index: number): string { return this.fieldsAt(index, ['id'])['id'] as string }

  /** -1 when it is none of the fleet's ids. */
  indexOf (id: string): number {
    if (!/^[0-9a-f]{32}$/.test(id)) return -1
    const index = parseInt(id.slice(24), 16) - indexBase
    return index >= 0 && index < this.size && this.idAt(index) === id ? index : -1
  }

  deviceAt (index: number): DeviceData { return this.fieldsAt(index, fieldNames) as DeviceData }

  /** Only some fields: what a filter looks at in every device. */
  fieldsAt (index: number, names: readonly string[]): Record<string, unknown> {
    const facts: Facts = { index, seed: this.#seed, accountId: this.#accountId }
    const device: Record<string, unknown> = {}
    for (const name of names) device[name] = fields[name]?.(facts)
    return device
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

/** What a resource reads at a moment: its text, or a number on a slow wave of its own, `step` being the time in whole steps. */
export function readValue (resource: ResourceModel, seed: number, step: number): string {
  if (typeof resource.value === 'string') return resource.value
  const { low, high, decimals } = resource.value
  const phase = (mix(seed, resource.path.length + low) % 1000) / 1000
  const wave = (Math.sin((step / 40 + phase) * 2 * Math.PI) + 1) / 2
  const noise = (mix(seed, step) % 1000) / 1000
  return (low + (high - low) * (0.85 * wave + 0.15 * noise)).toFixed(decimals)
}
