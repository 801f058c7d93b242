import type { RedisAddress } from '../config/kinds.ts'

/** For people: without user and password. */
export function writeAddress ({ path, host = '', port, db }: RedisAddress): string {
  const place = path === undefined ? `${host.includes(':') ? `[${host}]` : host}:${port}` : `unix:${path}`
  return db === 0 ? place : `${place}/${db}`
}
