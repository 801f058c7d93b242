/**
 * Rules such as `GET /v3/devices/**`, and a set of them compiled into one tree over path segments, so that a look-up costs
 * about the same with one rule and with hundreds.
 *
 * A rule is `[METHODS ]PATH`: methods separated by `,` or `|`, none or `*` for all, `GET` takes in `HEAD`.
 * In a path `*` is one segment, `dev-*` or `*-log` a segment with that beginning or end, and `**` any number of segments, none
 * included: `/v3/devices/**` is also `/v3/devices`. A slash at the end makes no difference, in rules and in paths.
 */
export interface Rule {
  /** As written. */
  text: string
  methods: number
  segments: Segment[]
}

type Segment =
  | { kind: 'literal', text: string }
  | { kind: 'affix', prefix: string, suffix: string }
  | { kind: 'one' }
  | { kind: 'any' }

const methodNames = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
const methodBits = new Map(methodNames.map((name, index) => [name, 1 << index]))
const otherMethods = 1 << methodNames.length
const allMethods = (otherMethods << 1) - 1
const getAndHead = 0b11

/** @throws Error whose message completes "RULE …" */
export function parseRule (text: string): Rule {
  const [, methods = '', path = ''] = /^(?:([^\s/]+)\s+)?(\/\S*)$/.exec(text.trim()) ?? []
  if (path === '') throw new Error('is not a rule such as "GET /v3/devices/**" (methods, a space, a path that starts with /)')
  return { text: text.trim(), methods: parseMethods(methods), segments: parsePath(path) }
}

function parseMethods (text: string): number {
  if (text === '' || text === '*') return allMethods
  let bits = 0
  for (const name of text.split(/[,|]/)) {
    const bit = methodBits.get(name.toUpperCase())
    if (bit === undefined) throw new Error(`has the method ${JSON.stringify(name)}; known are ${methodNames.join(', ')} and * for all`)
    bits |= name.toUpperCase() === 'GET' ? getAndHead : bit
  }
  return bits
}

function parsePath (path: string): Segment[] {
  if (/[?#\\%\0]/.test(path)) throw new Error('holds one of ? # \\ %: rules are judged on the decoded path without its query')
  const segments = path.split('/').filter(segment => segment !== '').map(parseSegment)
  // More than one ** inside would let a long path cost more than its length.
  if (segments.slice(0, -1).filter(segment => segment.kind === 'any').length > 1) throw new Error('may have one ** inside and one at the end, not more')
  return segments
}

function parseSegment (segment: string): Segment {
  if (segment === '.' || segment === '..') throw new Error('holds a dot segment, which no judged path has')
  if (segment === '**') return { kind: 'any' }
  if (segment === '*') return { kind: 'one' }
  const [prefix = '', suffix, ...more] = segment.split('*')
  if (suffix === undefined) return { kind: 'literal', text: segment }
  if (more.length > 0) throw new Error(`holds ${JSON.stringify(segment)}: a segment may have one *, or be ** as a whole`)
  return { kind: 'affix', prefix, suffix }
}

interface Node {
  literals: Map<string, Node>
  affixes: Array<{ prefix: string, suffix: string, node: Node }>
  one: Node | undefined
  any: Node | undefined
  /** Rules that end here, in the order of the file. */
  ends: Array<{ methods: number, index: number }>
}

/** Rules compiled together. `find` gives the first one, in the order given, that matches. */
export class RuleSet<R extends Rule = Rule> {
  readonly rules: readonly R[]
  readonly #root = createNode()
  readonly #foldCase: boolean

  /**
   * @param options.foldCase match whatever the case of the path. For rules that deny: an API that took `/V3/Api-Keys` for
   * `/v3/api-keys` must not be a way around them, nor one that took `/v3/api-keys.json`. Rules that allow are exact, for the same reason.
   */
  constructor (rules: readonly R[], options: { foldCase: boolean }) {
    this.rules = rules
    this.#foldCase = options.foldCase
    rules.forEach((rule, index) => this.#add(rule, index))
  }

  find (method: string, path: string): R | undefined {
    if (this.rules.length === 0) return undefined
    const bit = methodBits.get(method) ?? otherMethods
    const folded = this.#foldCase ? path.toLowerCase() : path
    let index = search(this.#root, folded, 0, bit, Infinity)
    if (this.#foldCase && mayBeReadOtherwise.test(folded)) index = search(this.#root, readLoosely(folded), 0, bit, index)
    return this.rules[index]
  }

  #add (rule: R, index: number): void {
    let node = this.#root
    for (const segment of rule.segments) node = this.#step(node, segment)
    node.ends.push({ methods: rule.methods, index })
  }

  #step (node: Node, segment: Segment): Node {
    if (segment.kind === 'any') return (node.any ??= createNode())
    if (segment.kind === 'one') return (node.one ??= createNode())
    if (segment.kind === 'affix') return this.#stepAffix(node, this.#fold(segment.prefix), this.#fold(segment.suffix))
    const text = this.#fold(segment.text)
    const next = node.literals.get(text) ?? createNode()
    node.literals.set(text, next)
    return next
  }

  #stepAffix (node: Node, prefix: string, suffix: string): Node {
    let known = node.affixes.find(affix => affix.prefix === prefix && affix.suffix === suffix)
    if (known === undefined) node.affixes.push(known = { prefix, suffix, node: createNode() })
    return known.node
  }

  #fold (text: string): string {
    return this.#foldCase ? text.toLowerCase() : text
  }
}

const mayBeReadOtherwise = /[.%\u0080-\uffff]/

/** As frameworks read a path that take a suffix for a format (`.json`), an encoded `?` or `#` for the end, or `ａ` for `a`. */
function readLoosely (folded: string): string {
  return folded.normalize('NFKC').toLowerCase().replace(/%(?:3f|23).*$/, '').replace(/\.[^./]*(?=\/|$)/g, '')
}

function createNode (): Node {
  return { literals: new Map(), affixes: [], one: undefined, any: undefined, ends: [] }
}

/** The least index of a rule that matches the path from `from` on, if it is less than `best`. */
function search (node: Node, path: string, from: number, bit: number, best: number): number {
  const start = skipSlashes(path, from)
  if (node.any !== undefined) best = searchAny(node.any, path, start, bit, best)
  if (start === path.length) return endHere(node, bit, best)
  const slash = path.indexOf('/', start)
  const end = slash === -1 ? path.length : slash
  const segment = path.slice(start, end)
  const literal = node.literals.get(segment)
  if (literal !== undefined) best = search(literal, path, end, bit, best)
  for (const { prefix, suffix, node: next } of node.affixes) {
    if (fits(segment, prefix, suffix)) best = search(next, path, end, bit, best)
  }
  return node.one === undefined ? best : search(node.one, path, end, bit, best)
}

/** After `**`: whatever is left may be skipped, whole segments at a time. */
function searchAny (node: Node, path: string, from: number, bit: number, best: number): number {
  best = endHere(node, bit, best)
  if (isLeaf(node)) return best
  for (let start = from; ; start = skipSlashes(path, start)) {
    best = search(node, path, start, bit, best)
    const slash = path.indexOf('/', start)
    if (slash === -1) return best
    start = slash
  }
}

function isLeaf (node: Node): boolean {
  return node.literals.size === 0 && node.affixes.length === 0 && node.one === undefined && node.any === undefined
}

function endHere (node: Node, bit: number, best: number): number {
  for (const { methods, index } of node.ends) {
    if (index < best && (methods & bit) !== 0) return index
  }
  return best
}

function fits (segment: string, prefix: string, suffix: string): boolean {
  return segment.length >= prefix.length + suffix.length && segment.startsWith(prefix) && segment.endsWith(suffix)
}

function skipSlashes (path: string, from: number): number {
  while (path.charCodeAt(from) === 47) from++
  return from
}

/**
 * Does every request that `inner` matches lie within one rule of `outer`? Decided on stand-ins: a segment no rule names for each
 * `*`, and for `**` every number of such segments up to more than any rule of `outer` could tell apart.
 */
export function isWithin (inner: Rule, outer: RuleSet): boolean {
  const longest = Math.max(0, ...outer.rules.map(rule => rule.segments.length)) + 1
  const methods = everyMethod.filter(method => allowsMethod(inner, method))
  for (const path of standIns(inner.segments, 0, longest)) {
    if (methods.some(method => outer.find(method, path || '/') === undefined)) return false
  }
  return true
}

const everyMethod = [...methodNames, 'OTHER']

function allowsMethod (rule: Rule, method: string): boolean {
  return (rule.methods & (methodBits.get(method) ?? otherMethods)) !== 0
}

/** One at a time: the first usually settles it. */
function * standIns (segments: Segment[], from: number, longest: number): Generator<string> {
  const segment = segments[from]
  if (segment === undefined) return yield ''
  const choices = segment.kind === 'any' ? longest : 0
  for (let count = 0; count <= choices; count++) {
    const head = segment.kind === 'any' ? '/\u{1}'.repeat(count) : '/' + standIn(segment)
    for (const tail of standIns(segments, from + 1, longest)) yield head + tail
  }
}

function standIn (segment: Exclude<Segment, { kind: 'any' }>): string {
  if (segment.kind === 'literal') return segment.text
  return segment.kind === 'one' ? '\u{1}' : `${segment.prefix}\u{1}${segment.suffix}`
}
