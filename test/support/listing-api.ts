import type { ServerResponse } from 'node:http'
import type { Test } from 'tap'
import { startApi, type TestApi } from './api-server.ts'

/** What a list of the test's own answers to one request. `page` counts from 0. */
export type Page = (asked: { query: URLSearchParams, rawQuery: string, path: string, page: number, response: ServerResponse }) => unknown

export interface ListingApi extends TestApi {
  /** Raw queries in the order they came. */
  queries (): string[]
}

/**
 * An API with one list. What `answer` returns is sent: a text as it is, an object as JSON; nothing, if it has seen to the response
 * itself.
 */
export async function startListingApi (t: Test, answer: Page): Promise<ListingApi> {
  let pages = 0
  const api = await startApi(t, (request, response) => {
    const [path = '', rawQuery = ''] = (request.url ?? '').split('?')
    response.setHeader('X-Request-ID', requestIdOf(pages))
    const body = answer({ query: new URLSearchParams(rawQuery), rawQuery, path, page: pages++, response })
    if (body === undefined) return
    if (!response.hasHeader('Content-Type')) response.setHeader('Content-Type', 'application/json')
    response.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body))
  })
  return Object.assign(api, { queries: () => api.seen.map(({ url }) => url.split('?')[1] ?? '') })
}

/** The request id of the answer to the request with that number, counted from 0. */
export function requestIdOf (page: number): string { return 'f'.repeat(28) + String(page).padStart(4, '0') }

/** Ids that rise, as the API's do. */
export function idOf (index: number): string { return index.toString(16).padStart(32, '0') }

/** Pages by id over `count` items, as most services of the API give them. */
export function pagesById (count: number, write: (index: number) => string = index => JSON.stringify({ id: idOf(index), object: 'thing' })): Page {
  return ({ query }) => {
    const limit = Number(query.get('limit') ?? 50)
    const after = query.get('after')
    const start = after === null ? 0 : parseInt(after, 16) + 1
    const end = Math.min(count, start + limit)
    const items = Array.from({ length: Math.max(0, end - start) }, (_, index) => write(start + index))
    return `{"object":"list","limit":${limit},"after":${JSON.stringify(after)},"order":"ASC","has_more":${end < count},"total_count":${count},"data":[${items.join(',')}]}`
  }
}
