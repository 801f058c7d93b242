import type { TrailRecord } from './answers.ts'

/** The most rows kept; the oldest go, and are loaded again by who scrolls down to them. */
export const mostRows = 10_000

/** Rows newest first, and the ids among them. A new list is made for each change, so that it can be compared by identity. */
export interface RowList {
  readonly rows: readonly TrailRecord[]
  readonly ids: ReadonlySet<string>
}

export const noRows: RowList = { rows: [], ids: new Set() }

export interface Growth {
  list: RowList
  /** How many were put on top. */
  added: number
  /** How many fell off the end. */
  dropped: number
}

/** @param records oldest first, as the tail tells them; one that is there already is replaced where it stands */
export function addNewer ({ rows, ids }: RowList, records: readonly TrailRecord[], most = mostRows): Growth {
  const changed = new Map<string, TrailRecord>()
  const fresh = new Map<string, TrailRecord>()
  for (const record of records) (ids.has(record.id) ? changed : fresh).set(record.id, record)
  const kept = changed.size === 0 ? rows : rows.map(row => changed.get(row.id) ?? row)
  const all = fresh.size === 0 ? kept : [...[...fresh.values()].reverse(), ...kept]
  const list = all.length > most ? makeList(all.slice(0, most)) : { rows: all, ids: fresh.size === 0 ? ids : new Set([...ids, ...fresh.keys()]) }
  return { list, added: Math.min(fresh.size, most), dropped: all.length - list.rows.length }
}

/** @param records newest first, as a list in descending order gives them */
export function addOlder ({ rows, ids }: RowList, records: readonly TrailRecord[]): RowList {
  return makeList([...rows, ...records.filter(record => !ids.has(record.id))])
}

function makeList (rows: readonly TrailRecord[]): RowList {
  return { rows, ids: new Set(rows.map(row => row.id)) }
}

/** Rows to put on the page: those in sight and a few beyond, as a browser paints before it asks. */
export function findWindow (scrollTop: number, height: number, rowHeight: number, count: number, margin = 8): { start: number, end: number } {
  const first = Math.floor(Math.max(0, scrollTop) / rowHeight)
  const start = Math.max(0, Math.min(first, count) - margin)
  return { start, end: Math.min(count, first + Math.ceil(height / rowHeight) + margin) }
}
