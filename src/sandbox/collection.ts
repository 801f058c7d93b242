import { errors, noContent, ok } from './answer.ts'
import type { Answer, FieldFault } from './answer.ts'
import type { Exchange, JsonObject } from './exchange.ts'
import type { Identifiers } from './identifiers.ts'
import { pageOf, readListQuery } from './pagination.ts'
import type { ListQuery, Page } from './pagination.ts'
import type { Route } from './router.ts'

export interface Entity extends Record<string, unknown> {
  object: string
  id: string
  etag: string
  created_at: string
  updated_at: string
}

/** Things of one kind, in the order they were made, which is that of their ids. */
export class Collection {
  readonly object: string
  readonly #ids: Identifiers
  readonly #accountId: string
  readonly #items = new Map<string, Entity>()

  constructor (object: string, ids: Identifiers, accountId: string) {
    this.object = object
    this.#ids = ids
    this.#accountId = accountId
  }

  get size (): number { return this.#items.size }

  all (): Entity[] { return [...this.#items.values()] }

  list (query: ListQuery): Page<Entity> { return pageOf(this.all(), query) }

  find (id: string): Entity {
    const item = this.#items.get(id)
    if (item === undefined) throw errors.notFound(`${this.object} not found.`)
    return item
  }

  create (fields: JsonObject): Entity {
    const now = this.#ids.now()
    const item = { account_id: this.#accountId, ...fields, object: this.object, id: this.#ids.next(), etag: '1', created_at: now, updated_at: now }
    this.#items.set(item.id, item)
    return item
  }

  update (id: string, fields: JsonObject): Entity {
    const item = this.find(id)
    return Object.assign(item, fields, { etag: String(Number(item.etag) + 1), updated_at: this.#ids.now() })
  }

  delete (id: string): void {
    this.find(id)
    this.#items.delete(id)
  }
}

export interface CollectionRoutes {
  collection: Collection
  /** e.g. `/v3/users` */
  path: string
  /** Fields a client may write, with the greatest length of a text. Without them there is nothing but GET. */
  writable?: Record<string, number>
  required?: string[]
  /** Must be the only one of its kind: 409 otherwise. */
  unique?: string
  /** Called with the absolute URL of the sandbox, for `Location`. */
  origin: () => string
}

/** List, get, create, update, delete, as far as the collection allows. */
export function collectionRoutes (options: CollectionRoutes): Route[] {
  const { collection, path } = options
  const one = `${path}/{id}`
  const reading: Route[] = [
    { method: 'GET', path, handle: exchange => ok(collection.list(readListQuery(exchange.query))) },
    { method: 'GET', path: one, handle: exchange => ok(collection.find(exchange.param('id'))) }
  ]
  if (options.writable === undefined) return reading
  return [
    ...reading,
    { method: 'POST', path, handle: async exchange => await create(options, exchange) },
    { method: 'PUT', path: one, handle: async exchange => ok(collection.update(exchange.param('id'), readFields(options, await exchange.json(), false))) },
    { method: 'DELETE', path: one, handle: exchange => remove(collection, exchange) }
  ]
}

async function create (options: CollectionRoutes, exchange: Exchange): Promise<Answer> {
  const { collection, path, unique } = options
  const fields = readFields(options, await exchange.json(), true)
  const taken = unique !== undefined && collection.all().some(item => item[unique] === fields[unique])
  if (taken) throw errors.duplicate(`Conflict. ${collection.object} with this ${unique} already exists.`)
  const item = collection.create(fields)
  return { status: 201, json: item, headers: { Location: `${options.origin()}${path}/${item.id}` } }
}

function remove (collection: Collection, exchange: Exchange): Answer {
  collection.delete(exchange.param('id'))
  return noContent()
}

export function readFields ({ writable = {}, required = [] }: Pick<CollectionRoutes, 'writable' | 'required'>, body: JsonObject, creating: boolean): JsonObject {
  const missing = creating ? required.filter(name => body[name] === undefined) : []
  const long = Object.entries(writable).filter(([name, limit]) => typeof body[name] === 'string' && body[name].length > limit)
  const faults: FieldFault[] = [
    ...missing.map(name => ({ name, message: 'Parameter missing.' })),
    ...long.map(([name, limit]) => ({ name, message: `Ensure this field has no more than ${limit} characters.` }))
  ]
  if (faults.length > 0) throw errors.validation(...faults)
  return Object.fromEntries(Object.entries(body).filter(([name]) => Object.hasOwn(writable, name)))
}

/** The same routes below `/v3/accounts/{account_id}`, for the own account: the API has most of them twice. */
export function withAccountTwins (routes: Route[], accountId: string): Route[] {
  const twins = routes.map(route => ({ ...route, path: route.path.replace(/^\/v3\//, '/v3/accounts/{account_id}/'), handle: guardAccount(route.handle, accountId) }))
  return [...routes, ...twins]
}

function guardAccount (handle: Route['handle'], accountId: string): Route['handle'] {
  return exchange => {
    if (exchange.param('account_id') !== accountId) throw errors.notFound('Account not found.')
    return handle(exchange)
  }
}
