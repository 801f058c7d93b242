import type { Kysely, Selectable } from 'kysely'
import type { BlockRow, Schema } from './schema.ts'

/** An instance that hasn't been heard of for this long is gone; clocks of machines may differ by minutes. */
const goneAfterMs = 10 * 60_000

export interface RetentionLimits { maxAgeMs: number, maxBytes: number }

/** Rows of this journal that are still open become `unfinished`: its earlier run ended without them. Gives their number. */
export async function markUnfinished (db: Kysely<Schema>, journalId: string): Promise<number> {
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
  const blocks = db.selectFrom('trail_block').selectAll().where('id', '>', afterId).orderBy('id').limit(1)
  const old = await blocks.where('max_started_at', '<', cutoff).executeTakeFirst()
  const block = old ?? (bytes > limits.maxBytes ? await blocks.executeTakeFirst() : undefined)
  if (block === undefined) return undefined
  await deleteBlock(db, block, old === undefined ? undefined : cutoff)
  return block.id
}

async function deleteBlock (db: Kysely<Schema>, block: Selectable<BlockRow>, cutoff: number | undefined): Promise<void> {
  await db.transaction().execute(async trx => {
    let rows = trx.deleteFrom('trail').where('seq', '>=', block.first_seq).where('seq', '<=', block.last_seq).where('outcome', '<>', 'open')
    // Blocks of several instances overlap: what another one wrote in between may be younger.
    if (cutoff !== undefined) rows = rows.where('started_at', '<', cutoff)
    await rows.execute()
    await trx.deleteFrom('trail_block').where('id', '=', block.id)
      .where(({ not, exists, selectFrom }) => not(exists(selectFrom('trail').select('seq').where('seq', '>=', block.first_seq).where('seq', '<=', block.last_seq))))
      .execute()
  })
}
