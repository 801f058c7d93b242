interface Node {
  children: Map<string, Node>
  /** `{name}`: any one segment. */
  parameter?: Node
  /** `{name...}` or the API's `{resourcePath}`: all that is left. */
  rest?: string
  template?: string
}

/** Finds the template of a path; of two that fit, the one with more fixed segments from the left. */
export type RouteMatcher = (path: string) => string | undefined

const restParameter = /^\{(resourcePath|.*\.\.\.)\}$/

/**
 * Templates are shown with one leading slash, none at the end. Doubled slashes and one at the end of a path make no
 * difference, as they make none to the API.
 */
export function createRouteMatcher (templates: readonly string[]): RouteMatcher {
  const root: Node = { children: new Map() }
  for (const template of templates) plant(root, '/' + template.split('/').filter(Boolean).join('/'))
  return path => find(root, path, 0)
}

function plant (root: Node, template: string): void {
  let node = root
  for (const segment of template.split('/').slice(1)) {
    if (restParameter.test(segment)) {
      node.rest = template
      return
    }
    node = segment.startsWith('{') ? node.parameter ??= { children: new Map() } : descend(node, segment)
  }
  node.template = template
}

function descend ({ children }: Node, segment: string): Node {
  const child = children.get(segment) ?? { children: new Map() }
  children.set(segment, child)
  return child
}

function find (node: Node, path: string, from: number): string | undefined {
  let start = from
  while (path.charCodeAt(start) === 47) start++
  if (start >= path.length) return node.template
  const slash = path.indexOf('/', start)
  const end = slash === -1 ? path.length : slash
  const child = node.children.size === 0 ? undefined : node.children.get(path.slice(start, end))
  return (child && find(child, path, end)) ?? (node.parameter && find(node.parameter, path, end)) ?? node.rest
}
