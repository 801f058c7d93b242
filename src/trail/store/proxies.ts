import type { Kysely } from 'kysely'
import type { KnownProxy } from '../bundle-context.ts'
import { processOf } from '../identifiers.ts'
import type { Schema } from './schema.ts'

/** Says what this process runs with, and that it is there still. */
export async function noteProxy (db: Kysely<Schema>, { id, ...context }: KnownProxy, nowMs: number): Promise<void> {
  await db.insertInto('trail_proxy').values({ id, context: JSON.stringify(context), seen_at: nowMs })
    .onConflict(conflict => conflict.column('id').doUpdateSet({ seen_at: nowMs })).execute()
}

/** Of those that nobody has heard of since then, no record is left. */
export async function forgetProxies (db: Kysely<Schema>, beforeMs: number): Promise<void> {
  await db.deleteFrom('trail_proxy').where('seen_at', '<', beforeMs).execute()
}

/** The processes that handled the requests of these ids, as far as they are known: one that never reached the store isn't. */
export async function findProxies (db: Kysely<Schema>, requestIds: string[]): Promise<KnownProxy[]> {
  const ids = [...new Set(requestIds.map(processOf))]
  if (ids.length === 0) return []
  const rows = await db.selectFrom('trail_proxy').select(['id', 'context']).where('id', 'in', ids).orderBy('id').execute()
  return rows.map(({ id, context }) => ({ id, ...JSON.parse(context) as Omit<KnownProxy, 'id'> }))
}
