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
  name: string
  routes: Map<string, Route>
}

const makeNode = (name = ''): Node => ({ literals: new Map(), parameter: undefined, rest: undefined, name, routes: new Map() })

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
    const params: Record<string, string> = {}
    const node = walk(this.#root, splitPath(path), 0, params)
    if (node === undefined) return 'no-path'
    const route = node.routes.get(method === 'HEAD' ? 'GET' : method)
    return route === undefined ? 'no-method' : { route, params }
  }
}

function descend (node: Node, segment: string): Node {
  const parameter = /^\{([\w-]+)(\*?)\}$/.exec(segment)
  if (parameter === null) {
    const child = node.literals.get(segment) ?? makeNode()
    node.literals.set(segment, child)
    return child
  }
  const [, name = '', star] = parameter
  if (star === '*') return (node.rest ??= makeNode(name))
  node.parameter ??= makeNode()
  node.parameter.name = name
  return node.parameter
}

function walk (node: Node, segments: string[], index: number, params: Record<string, string>): Node | undefined {
  const segment = segments[index]
  if (segment === undefined) return node.routes.size > 0 ? node : undefined
  const literal = node.literals.get(segment)
  const found = literal && walk(literal, segments, index + 1, params)
  if (found !== undefined) return found
  const deeper = node.parameter && walk(node.parameter, segments, index + 1, params)
  if (deeper !== undefined) {
    params[node.parameter?.name ?? ''] = decodeSegment(segment)
    return deeper
  }
  if (node.rest === undefined) return undefined
  params[node.rest.name] = segments.slice(index).map(decodeSegment).join('/')
  return node.rest
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
