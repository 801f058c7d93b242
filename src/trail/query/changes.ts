import type { Conditions } from './parse.ts'
import type { GivenRow, Rows } from './rows.ts'
import type { Run } from './runs.ts'

export interface TailCursor {
  seq: number
  /** Ids shown as open. */
  open: string[]
  /** Ids of open ones that were not shown: by its outcome one may fit yet, as a status that is looked for. */
  passedOver: string[]
}

/** A tail shows no more than this per look; whoever wants all of them reads the list. */
const mostChanges = 500

/** What a look finds, in the trail's order, and where the next one goes on. */
export interface Look { rows: GivenRow[], cursor: TailCursor, skipped: number }

/** Looks at what came since the cursor and at nothing before it, however little of it fits: a look costs what happened, not what the trail holds. */
export async function lookForChanges (rows: Rows, conditions: Conditions, cursor: TailCursor): Promise<Look> {
  const range = { least: cursor.seq + 1, most: await rows.newestSeq() }
  // First, as one may end while we look: better known twice than not at all.
  const running = await findRunning(rows, range)
  const { fresh, skipped } = await findFresh(rows, conditions, range)
  const ended = await findEnded(rows, [...cursor.open, ...cursor.passedOver])
  const late = await findLate(rows, conditions, ended.filter(({ id }) => cursor.passedOver.includes(id)))
  const told = ended.filter(({ id }) => cursor.open.includes(id)).concat(late).sort((a, b) => a.seq - b.seq)
  const shown = new Set(fresh.map(({ id }) => id))
  const over = new Set(ended.map(({ id }) => id))
  const stillOpen = (ids: string[], added: string[]): string[] => ids.filter(id => !over.has(id)).concat(added).slice(-mostChanges)
  return {
    rows: [...told, ...fresh],
    cursor: {
      seq: Math.max(cursor.seq, range.most),
      open: stillOpen(cursor.open, fresh.filter(({ outcome }) => outcome === 'open').map(({ id }) => id)),
      passedOver: stillOpen(cursor.passedOver, running.filter(id => !shown.has(id)))
    },
    skipped
  }
}

/** The newest that fit, oldest first. */
async function findFresh (rows: Rows, conditions: Conditions, range: Run): Promise<{ fresh: GivenRow[], skipped: number }> {
  if (range.most < range.least) return { fresh: [], skipped: 0 }
  const newest = await rows.readPage({ ...conditions, order: 'DESC' }, range, mostChanges + 1)
  const skipped = newest.length <= mostChanges ? 0 : await rows.count(conditions, range) - mostChanges
  return { fresh: newest.slice(0, mostChanges).reverse(), skipped }
}

async function findRunning (rows: Rows, range: Run): Promise<string[]> {
  if (range.most < range.least) return []
  const running = await rows.readPage({ filters: [{ field: 'outcome', op: 'in', values: ['open'] }], text: '', order: 'DESC' }, range, mostChanges)
  return running.map(({ id }) => id).reverse()
}

async function findEnded (rows: Rows, ids: string[]): Promise<GivenRow[]> {
  return ids.length === 0 ? [] : rows.select().where('id', 'in', ids).where('outcome', '<>', 'open').orderBy('seq').execute()
}

/** Those that fit now that they have ended. */
async function findLate (rows: Rows, { filters, text }: Conditions, ended: GivenRow[]): Promise<GivenRow[]> {
  const [first, last] = [ended[0], ended.at(-1)]
  if (first === undefined || last === undefined) return []
  const values = ended.map(({ id }) => id)
  return rows.readPage({ filters: [...filters, { field: 'id', op: 'in', values }], text, order: 'ASC' }, { least: first.seq, most: last.seq }, values.length)
}
