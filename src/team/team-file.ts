import { Compile } from 'typebox/compile'
import { Check } from 'typebox/value'
import { duration } from '../config/kinds.ts'
import { SettingsError } from '../config/load.ts'
import { findDuplicateNames } from './duplicate-names.ts'
import type { KeyLimits, MemberLimits } from './limits.ts'
import { findMistakes, join, keepFitting } from './mistakes.ts'
import { parseRule } from './pattern.ts'
import { parseDevice, type PolicySource } from './policy.ts'
import { teamSchema, type MemberJson, type TeamJson, type TokenJson } from './team-schema.ts'
import type { Rate } from './token-bucket.ts'

/** A team file, decoded. */
export interface Team {
  members: Map<string, TeamMember>
  key: KeyLimits
}

export interface TeamMember {
  name: string
  role: 'admin' | 'member'
  tokens: TeamToken[]
  policy: PolicySource
  limits: MemberLimits
}

export interface TeamToken {
  /** SHA-256, 64 hex digits. */
  digest: string
  /** Wall clock, milliseconds; `Infinity` = never. */
  expiresMs: number
}

/** What the file leaves to the rest of the settings. */
export interface KeyDefaults {
  concurrency: number
  longPolls: number | null
}

/** Every mistake of a team file in one message. Counts as wrong settings: exit code 2. */
export class TeamFileError extends SettingsError {
  constructor (path: string, mistakes: string[]) {
    super(mistakes)
    this.message = `The team file ${path} has ${mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`}:\n${mistakes.map(mistake => `  - ${mistake}`).join('\n')}`
    this.name = 'TeamFileError'
  }
}

/** @throws TeamFileError */
export function decodeTeam (path: string, text: string, keyDefaults: KeyDefaults): Team {
  const json = parseTeam(path, text)
  const { defaults = {}, key = {} } = json
  const members = Object.entries(json.members).map(([name, member]): [string, TeamMember] => [name, decodeMember(name, { ...defaults, ...member })])
  return { members: new Map(members), key: decodeKey(key, keyDefaults) }
}

/** The checked content of a team file, as it stands there. @throws TeamFileError */
export function parseTeam (path: string, text: string): TeamJson {
  let json: unknown
  try {
    // A byte order mark, as some editors on Windows write it, is no mistake.
    json = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    throw new TeamFileError(path, [`is not JSON: ${describeSyntaxError(error as Error)}`])
  }
  const fits = fitsSchema(json, text.length)
  const mistakes = [
    ...(fits ? [] : explain(json)),
    ...findDuplicateNames(text).map(name => `${name}: stands there twice, and only the last would count`),
    ...(fits ? findContradictions(json as TeamJson) : contradictionsInRest(json))
  ]
  if (mistakes.length > 0) throw new TeamFileError(path, mistakes)
  return json as TeamJson
}

/** So that no mistake hides another. A rate that doesn't fit isn't a missing one. */
function contradictionsInRest (json: unknown): string[] {
  return findContradictions((keepFitting(teamSchema, json) ?? {}) as Partial<TeamJson>).filter(mistake => !mistake.endsWith(withoutRate))
}

const withoutRate = 'means nothing without a rate'

function explain (json: unknown): string[] {
  const mistakes = findMistakes(teamSchema, json, '')
  return mistakes.length > 0 ? mistakes : ['does not fit its schema (config/team.schema.json)']
}

let compiled: ReturnType<typeof Compile<typeof teamSchema>> | undefined

/** Some hundred members. */
const worthCompilingLength = 20_000

/** The compiled check takes a tenth of the time, and making it as long as checking a small file. */
function fitsSchema (json: unknown, length: number): boolean {
  if (length < worthCompilingLength) return Check(teamSchema, json)
  compiled ??= Compile(teamSchema)
  return compiled.Check(json)
}

/** V8 quotes the text around the place, which may hold a secret put there by mistake. */
function describeSyntaxError ({ message }: Error): string {
  const place = /\(line [0-9]+ column [0-9]+\)/.exec(message)?.[0] ?? ''
  return `${message.startsWith('Unexpected end') ? 'it ends too early' : 'there is a syntax error'} ${place}`.trim()
}

function findContradictions (team: Partial<TeamJson>): string[] {
  const digests = new Map<string, string>()
  return [
    ...findInPolicy('defaults', team.defaults ?? {}),
    ...findInRates('key', team.key ?? {}),
    ...findInRates('defaults', { rate: team.defaults?.rate ?? null }),
    ...Object.entries(team.members ?? {}).flatMap(([name, member]) => findInMember(name, member, team.defaults ?? {}, digests))
  ]
}

function findInMember (name: string, member: MemberJson, defaults: NonNullable<TeamJson['defaults']>, digests: Map<string, string>): string[] {
  const path = join('members', name)
  const mistakes = [...findInPolicy(path, member), ...findInRates(path, { rate: defaults.rate ?? null, ...member })]
  if (name === 'local') mistakes.push(`${path}: the name local is kept for requests of a proxy without a team`)
  // `forEach` passes over holes: tokens that are no objects.
  ;(member.tokens ?? []).forEach((token, index) => mistakes.push(...findInToken(`${path}.tokens[${index}]`, token, digests)))
  return mistakes
}

function findInToken (at: string, { sha256, expires, created }: Partial<TokenJson>, digests: Map<string, string>): string[] {
  const mistakes: string[] = []
  const other = sha256 === undefined ? undefined : digests.get(sha256)
  if (other !== undefined) mistakes.push(`${at}.sha256: is also ${other}; a token belongs to one member, once`)
  if (sha256 !== undefined) digests.set(sha256, at)
  for (const [key, time] of [['expires', expires], ['created', created]]) {
    if (time !== undefined && Number.isNaN(Date.parse(time))) mistakes.push(`${at}.${key}: there is no such time as ${time}`)
  }
  return mistakes
}

function findInPolicy (path: string, { allow = [], deny = [], devices = [] }: Pick<MemberJson, 'allow' | 'deny' | 'devices'>): string[] {
  return [
    ...allow.flatMap((rule, index) => tryParse(parseRule, rule, `${path}.allow[${index}]`)),
    ...deny.flatMap((rule, index) => tryParse(parseRule, rule, `${path}.deny[${index}]`)),
    ...devices.flatMap((device, index) => tryParse(parseDevice, device, `${path}.devices[${index}]`))
  ]
}

function tryParse (parse: (text: string) => unknown, text: string, path: string): string[] {
  try {
    parse(text)
    return []
  } catch (error) {
    return [`${path}: ${JSON.stringify(text)} ${(error as Error).message}`]
  }
}

function findInRates (path: string, { rate, burst }: { rate?: string | null, burst?: number }): string[] {
  if (typeof rate === 'string' && decodePerSecond(rate) === 0) return [`${path}.rate: a rate of nothing lets nothing pass; take the tokens away instead`]
  return burst !== undefined && typeof rate !== 'string' ? [`${path}.burst: ${withoutRate}`] : []
}

function decodeMember (name: string, json: MemberJson): TeamMember {
  const { role = 'member', tokens = [], mode = 'enforce', presets = [], allow = [], deny = [], devices = [] } = json
  return {
    name,
    role,
    tokens: tokens.map(({ sha256, expires }) => ({ digest: sha256, expiresMs: expires === undefined ? Infinity : Date.parse(expires) })),
    policy: { role, mode, presets, allow, deny, devices },
    limits: {
      rate: decodeRate(json.rate, json.burst),
      concurrency: json.concurrency ?? null,
      daily: json.daily ?? null,
      longPolls: json.longPolls === undefined ? 4 : json.longPolls,
      webSockets: json.webSockets === undefined ? 32 : json.webSockets
    }
  }
}

function decodeKey (json: NonNullable<TeamJson['key']>, defaults: KeyDefaults): KeyLimits {
  const { concurrency = defaults.concurrency, longPolls = defaults.longPolls, webSockets = null, maxWait = '5s', maxWaiting = 10_000 } = json
  const ofKey = { concurrency: json.concurrency !== undefined, longPolls: json.longPolls !== undefined }
  return { rate: decodeRate(json.rate, json.burst), concurrency, longPolls, webSockets, ofKey, maxWaitMs: duration.decode(maxWait), maxWaiting }
}

const unitSeconds: Record<string, number> = { s: 1, m: 60, h: 3600 }

function decodePerSecond (rate: string): number {
  const [count = '', unit = ''] = rate.split('/')
  return Number(count) / (unitSeconds[unit] ?? 1)
}

function decodeRate (rate: string | null | undefined, burst: number | undefined): Rate | null {
  if (rate === undefined || rate === null) return null
  const perSecond = decodePerSecond(rate)
  return { perSecond, burst: burst ?? Math.max(1, Math.ceil(perSecond * 2)) }
}
