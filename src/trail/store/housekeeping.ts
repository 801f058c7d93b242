import { sql, type Kysely, type Selectable, type Transaction } from 'kysely'
import type { BlockRow, Schema } from './schema.ts'

/** An instance that hasn't been heard of for this long is gone; clocks of machines may differ by minutes. */
const goneAfterMs = 10 * 60_000

export interface RetentionLimits { maxAgeMs: number, maxBytes: number }

/** Rows of this journal that are still open become `unfinished`: its earlier run ended without them. Gives their number. */
export async function markUnfinished (db: Kysely<Schema>, journalId: string): Promise<number> {
  // Their blocks learn the outcome first.
  await db.insertInto('trail_zone').columns(['field', 'value', 'block'])
    .expression(db.selectFrom('trail').innerJoin('trail_block', join => join.onRef('trail_block.first_seq', '<=', 'trail.seq').onRef('trail_block.last_seq', '>=', 'trail.seq'))
      .select([sql<string>`'outcome'`.as('field'), sql<string>`'unfinished'`.as('value'), 'trail_block.id']).distinct()
      .where('outcome', '=', 'open').where('journal', '=', journalId))
    .onConflict(conflict => conflict.doNothing()).execute()
  const { numUpdatedRows } = await db.updateTable('trail').set({ outcome: 'unfinished' })
    .where('outcome', '=', 'open').where('journal', '=', journalId).executeTakeFirstOrThrow()
  return Number(numUpdatedRows)
}

/**
 * Says that this instance lives, and closes what instances left open that nobody has heard of for a while (a container
 * that lost its journal with its disk). Should one of them come back, its outcomes replace `unfinished`.
 */
export async function noteLife (db: Kysely<Schema>, journalId: string, nowMs: number): Promise<void> {
  await db.updateTable('trail_position').set({ seen_at: nowMs }).where('journal', '=', journalId).execute()
  const gone = await db.selectFrom('trail_position').select('journal').where('seen_at', '<', nowMs - goneAfterMs).execute()
  for (const { journal } of gone) await markUnfinished(db, journal)
}

/**
 * One small step of retention: the records of one block. Gives the block's id, for the next step to go on after, or
 * `undefined` when nothing is beyond the limits. What is still open stays.
 */
export async function prune (db: Kysely<Schema>, limits: RetentionLimits, nowMs: number, bytes: number, afterId: number): Promise<number | undefined> {
  const cutoff = nowMs - limits.maxAgeMs
  const blocks = db.selectFrom('trail_block').select(['id', 'first_seq', 'last_seq']).where('id', '>', afterId).orderBy('id').limit(1)
  const old = await blocks.where('min_started_at', '<', cutoff).executeTakeFirst()
  const block = old ?? (bytes > limits.maxBytes ? await blocks.executeTakeFirst() : undefined)
  if (block === undefined) return undefined
  await db.transaction().execute(trx => pruneBlock(trx, block, old === undefined ? undefined : cutoff))
  return block.id
}

async function pruneBlock (trx: Transaction<Schema>, { id, first_seq: first, last_seq: last }: Pick<Selectable<BlockRow>, 'id' | 'first_seq' | 'last_seq'>, cutoff: number | undefined): Promise<void> {
  let rows = trx.deleteFrom('trail').where('seq', '>=', first).where('seq', '<=', last).where('outcome', '<>', 'open')
  // Without it: too large, so all go. With it only the old ones, as the block may still be growing.
  if (cutoff !== undefined) rows = rows.where('started_at', '<', cutoff)
  await rows.execute()
  const { oldest } = await trx.selectFrom('trail').select(({ fn }) => fn.min('started_at').as('oldest')).where('seq', '>=', first).where('seq', '<=', last).executeTakeFirstOrThrow() as { oldest: number | null }
  if (oldest !== null) {
    await trx.updateTable('trail_block').set({ min_started_at: oldest }).where('id', '=', id).execute()
    return
  }
  await trx.deleteFrom('trail_zone').where('block', '=', id).execute()
  await trx.deleteFrom('trail_block').where('id', '=', id).execute()
}
