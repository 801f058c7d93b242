import type { MemberJson, TeamJson, TokenJson } from './team-schema.ts'

/** What can't be done to a team, in words for whoever asked. */
export class TeamEditError extends Error {}

/** `expiresMs`: wall clock, `Infinity` = never. */
export interface NewToken { digest: string, expiresMs: number, note?: string | undefined }

export function addMember (team: TeamJson, name: string, member: MemberJson, token: NewToken | undefined, nowMs: number): TeamJson {
  if (Object.hasOwn(team.members, name)) throw new TeamEditError(`${name} is a member already: rotate gives out a new token, the team file holds the rest`)
  const tokens = token === undefined ? {} : { tokens: [describeToken(token, nowMs)] }
  return { ...team, members: { ...team.members, [name]: { ...member, ...tokens } } }
}

/**
 * Gives a member a new token. Those there were end after the grace period, or when they would have ended anyway; with none they are
 * taken out at once. A token that had a lifetime is followed by one with the same.
 */
export function rotateToken (team: TeamJson, name: string, digest: string, { graceMs, lifetimeMs, nowMs }: { graceMs: number, lifetimeMs: number | undefined, nowMs: number }): TeamJson {
  const member = findMember(team, name)
  const live = (member.tokens ?? []).filter(token => expiryOf(token) > nowMs)
  const token = { digest, expiresMs: nowMs + (lifetimeMs ?? findLifetimeMs(name, member.tokens ?? [])) }
  const kept = graceMs === 0 ? [] : live.map(old => ({ ...old, expires: formatTime(Math.min(expiryOf(old), nowMs + graceMs)) }))
  return { ...team, members: { ...team.members, [name]: { ...member, tokens: [...kept, describeToken(token, nowMs)] } } }
}

export function revokeMember (team: TeamJson, name: string): TeamJson {
  findMember(team, name)
  return { ...team, members: Object.fromEntries(Object.entries(team.members).filter(([other]) => other !== name)) }
}

export function findMember (team: TeamJson, name: string): MemberJson {
  const member = Object.hasOwn(team.members, name) ? team.members[name] : undefined
  if (member === undefined) throw new TeamEditError(`there is no member ${name}`)
  return member
}

export function expiryOf ({ expires }: TokenJson): number {
  return expires === undefined ? Infinity : Date.parse(expires)
}

function findLifetimeMs (name: string, tokens: TokenJson[]): number {
  const newest = tokens.at(-1)
  if (newest?.expires === undefined) return Infinity
  if (newest.created === undefined) throw new TeamEditError(`the token of ${name} expires, but not when it was made is known: say --expires 30d, or --expires never`)
  return Date.parse(newest.expires) - Date.parse(newest.created)
}

function describeToken ({ digest, expiresMs, note }: NewToken, nowMs: number): TokenJson {
  return { sha256: digest, created: formatTime(nowMs), ...(expiresMs !== Infinity && { expires: formatTime(expiresMs) }), ...(note !== undefined && { note }) }
}

/** RFC 3339, whole seconds, rounded up: a token never ends before it was said to. */
export function formatTime (ms: number): string {
  return new Date(Math.ceil(ms / 1000) * 1000).toISOString().replace('.000Z', 'Z')
}
