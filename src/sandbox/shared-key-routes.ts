import { noContent, ok, PlainError } from './answer.ts'
import type { Answer } from './answer.ts'
import type { Exchange } from './exchange.ts'
import { readListQuery } from './pagination.ts'
import type { Route } from './router.ts'
import type { World } from './world.ts'

const namePattern = /^[\w-]{1,64}$/
const secretPattern = /^([0-9a-fA-F]{2}){16,32}$/

/**
 * Pre-shared keys: the one list of the API that pages otherwise, with an opaque `continuation_marker` that is good for
 * the same `limit` only, and that has no total count. Errors are bare words; secrets never come back.
 */
export function sharedKeyRoutes ({ ids }: World): Route[] {
  const keys = new Map<string, { endpoint_name: string, created_at: string }>()
  const path = '/v2/device-shared-keys'

  function list (exchange: Exchange): Answer {
    const { limit, after } = readListQuery(exchange.query)
    const start = after === undefined ? 0 : readMarker(after, limit)
    const all = [...keys.values()]
    const more = start + limit < all.length
    return ok({
      object: 'list',
      limit,
      after: after ?? null,
      order: 'DESC',
      has_more: more,
      ...more ? { continuation_marker: writeMarker(start + limit, limit) } : {},
      data: all.reverse().slice(start, start + limit)
    })
  }

  async function create (exchange: Exchange): Promise<Answer> {
    const { endpoint_name: name, secret_hex: secret } = await exchange.json()
    const faults = [
      ...typeof name === 'string' && namePattern.test(name) ? [] : ['INVALID_ENDPOINT_NAME'],
      ...typeof secret === 'string' && secretPattern.test(secret) ? [] : ['INVALID_SECRET_HEX']
    ]
    if (faults.length > 0) throw new PlainError(400, faults.join(','))
    if (keys.has(String(name))) throw new PlainError(409, 'PSK_ALREADY_EXISTS')
    keys.set(String(name), { endpoint_name: String(name), created_at: ids.now() })
    return { status: 201, headers: { Location: `${path}/${String(name)}` } }
  }

  function find (exchange: Exchange): Answer {
    const key = keys.get(exchange.param('endpoint_name'))
    if (key === undefined) throw new PlainError(404, 'PSK_NOT_FOUND')
    return ok(key)
  }

  function remove (exchange: Exchange): Answer {
    keys.delete(exchange.param('endpoint_name'))
    return noContent()
  }

  return [
    { method: 'GET', path, handle: list },
    { method: 'POST', path, handle: create },
    { method: 'GET', path: `${path}/{endpoint_name}`, handle: find },
    { method: 'DELETE', path: `${path}/{endpoint_name}`, handle: remove }
  ]
}

function writeMarker (start: number, limit: number): string {
  return Buffer.from(`${start} ${limit}`).toString('hex')
}

function readMarker (marker: string, limit: number): number {
  const [start, sameLimit] = Buffer.from(marker, 'hex').toString().split(' ').map(Number)
  if (start === undefined || !Number.isInteger(start) || sameLimit !== limit) throw new PlainError(400, 'TOKEN_NOT_VALID')
  return start
}
