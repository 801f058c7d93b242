import type { DeviceData } from './fleet.ts'

/** Rules by which devices are subscribed to when they register. */
export interface Presubscription {
  'endpoint-name'?: string
  'endpoint-type'?: string
  'resource-path'?: string[]
}

const limits = { entries: 1024, paths: 256, name: 64, path: 128 }

/** What one application has subscribed to. Resource paths begin with `/`; an object or instance covers what lies below. */
export class Subscriptions {
  presubscriptions: Presubscription[] = []
  readonly #manual = new Map<string, Set<string>>()

  add (deviceId: string, path: string): void {
    const paths = this.#manual.get(deviceId) ?? new Set()
    this.#manual.set(deviceId, paths.add(path))
  }

  has (deviceId: string, path: string): boolean { return this.#manual.get(deviceId)?.has(path) ?? false }

  list (deviceId: string): string[] { return [...this.#manual.get(deviceId) ?? []] }

  remove (deviceId: string, path?: string): void {
    if (path === undefined) this.#manual.delete(deviceId)
    else this.#manual.get(deviceId)?.delete(path)
    if (this.#manual.get(deviceId)?.size === 0) this.#manual.delete(deviceId)
  }

  /** Devices with a manual subscription. */
  get devices (): string[] { return [...this.#manual.keys()] }

  /** Is the application to hear of this resource? */
  covers (device: DeviceData, path: string): boolean {
    const manual = this.#manual.get(device.id)
    if (manual !== undefined && [...manual].some(subscribed => lies(path, subscribed))) return true
    return this.presubscriptions.some(rule => matchesRule(rule, device, path))
  }
}

function lies (path: string, below: string): boolean {
  return path === below || path.startsWith(below + '/')
}

function matchesRule (rule: Presubscription, device: DeviceData, path: string): boolean {
  const name = rule['endpoint-name']
  const type = rule['endpoint-type']
  if (name !== undefined && !matchesPattern(device.id, name) && !matchesPattern(device.endpoint_name, name)) return false
  if (type !== undefined && device.endpoint_type !== type) return false
  const paths = rule['resource-path']
  return paths === undefined || paths.length === 0 || paths.some(pattern => matchesPattern(path, pattern) || lies(path, pattern))
}

/** Only a trailing `*` has a meaning. */
function matchesPattern (text: string, pattern: string): boolean {
  return pattern.endsWith('*') ? text.startsWith(pattern.slice(0, -1)) : text === pattern
}

/** The rules, if they are as the API demands. */
export function readPresubscriptions (value: unknown): Presubscription[] | undefined {
  if (!Array.isArray(value) || value.length > limits.entries || !value.every(isPresubscription)) return undefined
  const paths = new Set(value.flatMap(rule => rule['resource-path'] ?? []))
  return paths.size > limits.paths ? undefined : value
}

function isPresubscription (value: unknown): value is Presubscription {
  if (typeof value !== 'object' || value === null) return false
  const rule = value as Record<string, unknown>
  const paths = rule['resource-path'] ?? []
  return isShort(rule['endpoint-name'], limits.name) && isShort(rule['endpoint-type'], limits.name) &&
    Array.isArray(paths) && paths.every(path => typeof path === 'string' && path.length <= limits.path)
}

function isShort (value: unknown, limit: number): boolean {
  return value === undefined || (typeof value === 'string' && value.length <= limit)
}
