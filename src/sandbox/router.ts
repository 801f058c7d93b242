import type { Answer } from './answer.ts'
import type { Exchange } from './exchange.ts'

export type Handler = (exchange: Exchange) => Answer | Promise<Answer>

export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** `{name}` stands for one segment, `{name*}` at the end for all that follow. A trailing slash makes no difference. */
  path: string
  handle: Handler
  /** Longest request body, else 413. Default 1 MiB. */
  maxBodyBytes?: number
  /** Only for access keys, not for a user's session: 403 otherwise. */
  accessKeyOnly?: boolean
}

export interface Match { route: Route, params: Record<string, string> }

interface Node {
  literals: Map<string, Node>
  parameter: Node | undefined
  rest: Node | undefined
  routes: Map<string, Route>
}

const makeNode = (): Node => ({ literals: new Map(), parameter: undefined, rest: undefined, routes: new Map() })

/** A tree of path segments; literal segments win over parameters, as in `/v3/accounts/me` and `/v3/accounts/{id}`. */
export class Router {
  readonly #root = makeNode()

  add (routes: Route[]): this {
    for (const route of routes) {
      splitPath(route.path).reduce(descend, this.#root).routes.set(route.method, route)
    }
    return this
  }

  /** `path` is raw, without the query. Repeated slashes count as one: vendor samples build such paths, and the API takes them. */
  find (method: string, path: string): Match | 'no-path' | 'no-method' {
    const values: string[] = []
    const node = walk(this.#root, splitPath(path), 0, values)
    if (node === undefined) return 'no-path'
    const route = node.routes.get(method === 'HEAD' ? 'GET' : method)
    if (route === undefined) return 'no-method'
    const names = [...route.path.matchAll(/\{([\w-]+)\*?\}/g)].map(([, name = '']) => name)
    return { route, params: Object.fromEntries(names.map((name, index) => [name, values[index] ?? ''])) }
  }
}

function descend (node: Node, segment: string): Node {
  if (segment.endsWith('*}')) return (node.rest ??= makeNode())
  if (segment.startsWith('{')) return (node.parameter ??= makeNode())
  const child = node.literals.get(segment) ?? makeNode()
  node.literals.set(segment, child)
  return child
}

/** Depth first, with a way back: `/a/me/users` is found although `/a/me` has no `users`. Values are those of the way that led there. */
function walk (node: Node, segments: string[], index: number, values: string[]): Node | undefined {
  const segment = segments[index]
  if (segment === undefined) return node.routes.size > 0 ? node : undefined
  const literal = node.literals.get(segment)
  const found = literal && walk(literal, segments, index + 1, values)
  if (found !== undefined) return found
  const depth = values.length
  values.push(decodeSegment(segment))
  const deeper = node.parameter && walk(node.parameter, segments, index + 1, values)
  if (deeper !== undefined) return deeper
  values.length = depth
  if (node.rest !== undefined) values.push(segments.slice(index).map(decodeSegment).join('/'))
  return node.rest
}

/** The request target, as it is, at its first `?`. */
export function splitTarget (url: string): [path: string, query: string] {
  const mark = url.indexOf('?')
  return mark < 0 ? [url, ''] : [url.slice(0, mark), url.slice(mark + 1)]
}

function splitPath (path: string): string[] {
  return path.split('/').filter(segment => segment !== '')
}

/** A stray `%` stays as it is, as lenient servers have it. */
function decodeSegment (segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
