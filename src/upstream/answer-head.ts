import type { Dispatcher } from 'undici'

/** Names and values in turn, as they came: undici's own object of them folds names and lists. */
export function readRawHeaders (controller: Dispatcher.DispatchController): string[] {
  return (controller.rawHeaders as Buffer[]).map(toLatin1)
}

function toLatin1 (bytes: Buffer): string { return bytes.toString('latin1') }

/** RFC 9110 §6.4.1 */
export function carriesNoBody (method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}

const bodyFacts = new Set(['content-length', 'content-md5', 'digest', 'content-digest', 'repr-digest'])

/** Takes out of a flat list what is said of a body that is about to be changed. */
export function dropBodyFacts (flat: string[]): void {
  for (let index = flat.length - 2; index >= 0; index -= 2) {
    if (bodyFacts.has(flat[index]?.toLowerCase() ?? '')) flat.splice(index, 2)
  }
}

const lastDate = { text: '', ms: Number.NaN }

/**
 * Milliseconds by which the API's clock, by its Date header, is ahead of ours; `undefined` without a date that can be read. Date has
 * whole seconds, so less than one means nothing. Parsed once a second.
 */
export function measureClockOffset (date: string | string[] | undefined, nowMs = Date.now()): number | undefined {
  if (date === undefined) return undefined
  const text = String(date)
  if (lastDate.text !== text) Object.assign(lastDate, { text, ms: Date.parse(text) })
  const offset = lastDate.ms - nowMs
  return Number.isFinite(offset) ? offset : undefined
}
