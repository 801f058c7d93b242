import type { StateMap } from './state-journal.ts'

const prefix = 'subscription:'

/**
 * Who subscribed to what. A subscription belongs to the key, so the API's is kept until the last member lets go of it.
 * `path` is the resource path without leading slash.
 */
export class Subscriptions {
  readonly #state: StateMap
  /** device -> path -> members */
  readonly #devices = new Map<string, Map<string, Set<string>>>()

  constructor (state: StateMap) {
    this.#state = state
    for (const [key] of state.entries(prefix)) this.#hold(...readKey(key))
    state.onForeignChange((key, value) => {
      if (!key.startsWith(prefix)) return
      if (value === undefined) this.#letGo(...readKey(key))
      else this.#hold(...readKey(key))
    })
  }

  get size (): number {
    let size = 0
    for (const paths of this.#devices.values()) size += paths.size
    return size
  }

  add (member: string, device: string, path: string): void {
    if (this.#hold(member, device, path)) this.#state.set(keyOf(member, device, path), 1)
  }

  remove (member: string, device: string, path: string): void {
    if (this.#letGo(member, device, path)) this.#state.delete(keyOf(member, device, path))
  }

  heldByOthers (member: string, device: string, path: string): boolean {
    const holders = this.#devices.get(device)?.get(path)
    return holders !== undefined && (holders.size > 1 || (holders.size === 1 && !holders.has(member)))
  }

  /** The paths of a device that the member holds, and whether anybody else holds any. */
  onDevice (member: string, device: string): { own: string[], others: boolean } {
    const paths = [...this.#devices.get(device) ?? []]
    return {
      own: paths.filter(([, holders]) => holders.has(member)).map(([path]) => path),
      others: paths.some(([path]) => this.heldByOthers(member, device, path))
    }
  }

  /** Every subscription once, to set them anew. */
  all (): Array<{ device: string, path: string }> {
    return [...this.#devices].flatMap(([device, paths]) => [...paths.keys()].map(path => ({ device, path })))
  }

  /** False if the member holds it already. */
  #hold (member: string, device: string, path: string): boolean {
    const holders = this.#holders(device, path)
    if (holders.has(member)) return false
    holders.add(member)
    return true
  }

  #letGo (member: string, device: string, path: string): boolean {
    const paths = this.#devices.get(device)
    const holders = paths?.get(path)
    if (!holders?.delete(member)) return false
    if (holders.size === 0) paths?.delete(path)
    if (paths?.size === 0) this.#devices.delete(device)
    return true
  }

  #holders (device: string, path: string): Set<string> {
    const paths = this.#devices.get(device) ?? new Map<string, Set<string>>()
    this.#devices.set(device, paths)
    const holders = paths.get(path) ?? new Set<string>()
    paths.set(path, holders)
    return holders
  }
}

function keyOf (member: string, device: string, path: string): string {
  return prefix + JSON.stringify([member, device, path])
}

function readKey (key: string): [member: string, device: string, path: string] {
  return JSON.parse(key.slice(prefix.length)) as [string, string, string]
}
