import { noteRules } from './note-rules.ts'
import { parameterRules } from './parameter-rules.ts'
import { pathRules } from './path-rules.ts'
import type { Advice, ParameterRule, PathRule } from './rule.ts'

export interface Asked {
  method: string
  canonicalPath: string
  /** Raw, without `?`. */
  query: string
  /** The guard's notes. */
  notes: readonly string[]
}

/** What a parameter of some name is checked by. */
interface Checks { rules: readonly ParameterRule[], operator: string }

/** The rules for one method on one service, by what makes them worth a look. */
interface ServiceRules {
  service: string
  paths: PathRule[]
  parameters: ParameterRule[]
  /** By name as it was spelled; names are few, and those that are looked at were looked at before. */
  known: Map<string, Checks>
}

type Services = Map<string, ServiceRules>

/** Clients choose names freely: no more than so many are remembered for a service. */
const maxKnown = 500
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
const none: readonly Advice[] = Object.freeze([])
const letterV = 118
const slash = 47

/**
 * Finds what is worth a word about a request. Almost every request has nothing: it is told so after a look at its first bytes, one
 * look-up by its service, and for lists one walk through its parameters; nothing is made on the way.
 */
export class Adviser {
  readonly #methods = new Map<string, Services>(methods.map(method => [method, new Map()]))
  readonly #get = this.#methods.get('GET') as Services
  readonly #notes = new Map(noteRules.map(rule => [rule.code, rule]))

  /** `sharesChannel`: the proxy gives each member a channel of its own. */
  constructor ({ sharesChannel }: { sharesChannel: boolean }) {
    for (const rule of pathRules) {
      if (rule.withoutChannel !== true || !sharesChannel) this.#add(rule.methods ?? methods, rule.services, rules => rules.paths.push(rule))
    }
    for (const rule of parameterRules) this.#add(rule.methods, rule.services, rules => rules.parameters.push(rule))
  }

  advise (asked: Asked): readonly Advice[] {
    const rules = this.#find(asked)
    let found: Advice[] | undefined
    if (rules !== undefined) {
      for (const rule of rules.paths) if (rule.path.test(asked.canonicalPath)) found = add(rule, found)
      if (asked.query !== '' && rules.parameters.length > 0) found = addParameters(rules, asked.query, false, asked.canonicalPath, found)
    }
    for (const note of asked.notes) found = add(this.#notes.get(note), found)
    return found ?? none
  }

  #find ({ method, canonicalPath: path }: Asked): ServiceRules | undefined {
    if (path.charCodeAt(1) !== letterV || path.charCodeAt(3) !== slash) return undefined
    const services = method === 'GET' ? this.#get : this.#methods.get(method)
    return services?.get(serviceOf(path))
  }

  #add (methods: readonly string[], services: readonly string[], put: (rules: ServiceRules) => void): void {
    for (const method of methods) {
      const all = this.#methods.get(method) as Services
      for (const service of services) {
        let rules = all.get(service)
        if (rules === undefined) all.set(service, rules = { service, paths: [], parameters: [], known: new Map() })
        put(rules)
      }
    }
  }
}

/** `/v3/devices/…` → `v3/devices` */
function serviceOf (path: string): string {
  const end = path.indexOf('/', 4)
  return path.slice(1, end < 0 ? path.length : end)
}

/** `inside`: of the value of `filter=`, which is a query of its own. */
function addParameters (rules: ServiceRules, query: string, inside: boolean, path: string, found: Advice[] | undefined): Advice[] | undefined {
  for (let start = 0; start < query.length;) {
    const mark = query.indexOf('&', start)
    const end = mark < 0 ? query.length : mark
    if (end > start) found = addParameter(rules, query, start, end, inside, path, found)
    start = end + 1
  }
  return found
}

function addParameter (rules: ServiceRules, query: string, start: number, end: number, inside: boolean, path: string, found: Advice[] | undefined): Advice[] | undefined {
  const mark = query.indexOf('=', start)
  const equals = mark < 0 || mark > end ? end : mark
  const name = query.slice(start, equals)
  if (name === 'filter') return inside ? found : addParameters(rules, decode(query.slice(equals + 1, end)), true, path, found)
  const checks = rules.known.get(name) ?? learn(rules, name)
  return checks.rules.length === 0 ? found : check(checks, rules.service, path, decode(query.slice(equals + 1, end)), found)
}

function check ({ rules, operator }: Checks, service: string, canonicalPath: string, value: string, found: Advice[] | undefined): Advice[] | undefined {
  for (const rule of rules) if (rule.check(value, { service, canonicalPath, operator })) found = add(rule, found)
  return found
}

function learn ({ parameters, service, known }: ServiceRules, spelled: string): Checks {
  const name = decode(spelled)
  const first = name.indexOf('__')
  const field = first < 0 ? name : name.slice(0, first)
  const operator = first < 0 ? '' : name.slice(name.lastIndexOf('__') + 2)
  const rules = parameters.filter(({ names }) => typeof names === 'function' ? names(field, operator, service) : names.includes(name))
  const checks = { rules, operator }
  if (known.size < maxKnown) known.set(spelled, checks)
  return checks
}

/** The same advice once. */
function add (rule: Advice | undefined, found: Advice[] | undefined): Advice[] | undefined {
  if (rule === undefined) return found
  if (found === undefined) return [rule]
  if (!found.some(({ code }) => code === rule.code)) found.push(rule)
  return found
}

const encoded = /[%+]/

function decode (text: string): string {
  if (!encoded.test(text)) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
