import { faultNames, rawFault } from './faults.ts'
import type { Ending, FaultName, RawAnswer } from './faults.ts'

/** What is to go wrong, with which requests. Without anything of the second half the answer is the usual one. */
export interface MisbehaviourRule {
  /** Raw path without query: exact, or a prefix that ends in `*`. Default: every path. */
  path?: string
  /** Default: every method. */
  method?: string
  /** How many requests it strikes, then it is gone. Default: no end. */
  count?: number
  /** How many it lets pass first. Default 0. */
  skip?: number
  /** 0 to 1. Default 1. */
  probability?: number

  /** Pause before the answer. */
  latencyMs?: number
  fault?: FaultName
  /** Bytes to write as they are (latin1), and how to end then. */
  raw?: string
  ending?: Ending
  status?: number
  /** Added to the answer's, or in place of those of the same name. */
  headers?: Record<string, string | string[]>
  /** A text goes out as it is, all else as JSON. */
  body?: unknown
  /** A generated body of that many bytes (see `patternBytes`), in place of `body`. */
  bodyBytes?: number
  /** Send the body in pieces of that size, `chunked`. */
  chunkBytes?: number
  /** Pause between those pieces. */
  chunkDelayMs?: number
  /** Compress the body and say so, whether the client asked for it or not. */
  compress?: 'gzip' | 'br' | 'deflate'
}

export interface Misbehaviour {
  readonly id: number
  readonly rule: MisbehaviourRule
  /** How many requests it has struck. */
  readonly hits: number
  remove (): void
}

interface Active { id: number, rule: MisbehaviourRule, hits: number, seen: number }

/** The rules in force. The first that fits a request strikes. */
export class MisbehaviourRules {
  #active: Active[] = []
  #nextId = 1
  readonly #random: () => number

  constructor (random: () => number) {
    this.#random = random
  }

  add (rule: MisbehaviourRule): Misbehaviour {
    const active: Active = { id: this.#nextId++, rule, hits: 0, seen: 0 }
    this.#active.push(active)
    const remove = (): void => { this.remove(active.id) }
    return { id: active.id, rule, get hits () { return active.hits }, remove }
  }

  list (): Array<Omit<Active, 'seen'>> {
    return this.#active.map(({ id, rule, hits }) => ({ id, rule, hits }))
  }

  remove (id: number): boolean {
    const before = this.#active.length
    this.#active = this.#active.filter(active => active.id !== id)
    return this.#active.length < before
  }

  clear (): void { this.#active = [] }

  /** `path` is raw, without query. */
  strike (method: string, path: string): MisbehaviourRule | undefined {
    if (this.#active.length === 0) return undefined
    const struck = this.#active.find(active => fits(active.rule, method, path) && this.#isDue(active))
    if (struck === undefined) return undefined
    if (++struck.hits >= (struck.rule.count ?? Infinity)) this.remove(struck.id)
    return struck.rule
  }

  #isDue (active: Active): boolean {
    if (active.seen++ < (active.rule.skip ?? 0)) return false
    return active.rule.probability === undefined || this.#random() < active.rule.probability
  }
}

/** The bytes that a rule answers with, if it is one of those that know no HTTP. */
export function rawAnswer ({ raw, ending = 'end', fault }: MisbehaviourRule): RawAnswer | undefined {
  return raw === undefined ? rawFault(fault ?? '') : { parts: [raw], ending }
}

function fits (rule: MisbehaviourRule, method: string, path: string): boolean {
  if (rule.method !== undefined && rule.method !== method) return false
  if (rule.path === undefined) return true
  return rule.path.endsWith('*') ? path.startsWith(rule.path.slice(0, -1)) : path === rule.path
}

const types: Record<keyof MisbehaviourRule, (value: unknown) => boolean> = {
  path: isText,
  method: isText,
  count: isCount,
  skip: isCount,
  probability: value => typeof value === 'number' && value >= 0 && value <= 1,
  latencyMs: isCount,
  fault: value => faultNames.includes(value as FaultName),
  raw: isText,
  ending: value => ['end', 'reset', 'hold'].includes(value as string),
  status: value => typeof value === 'number' && Number.isInteger(value) && value >= 200 && value <= 599,
  headers: value => typeof value === 'object' && value !== null && Object.values(value).flat().every(isText),
  body: () => true,
  bodyBytes: isCount,
  chunkBytes: value => isCount(value) && value !== 0,
  chunkDelayMs: isCount,
  compress: value => ['gzip', 'br', 'deflate'].includes(value as string)
}

/** The fields of a rule that came over HTTP which are unknown or wrong. */
export function findFaults (rule: Record<string, unknown>): string[] {
  return Object.entries(rule).filter(([name, value]) => !(Object.hasOwn(types, name) && types[name as keyof MisbehaviourRule](value))).map(([name]) => name)
}

function isText (value: unknown): boolean { return typeof value === 'string' }

function isCount (value: unknown): boolean { return typeof value === 'number' && Number.isInteger(value) && value >= 0 }
