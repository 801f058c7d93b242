import type { StateMap } from './state-journal.ts'

/**
 * Pre-subscriptions are one array for the whole key, and each PUT replaces it for everybody. Here each member has a list of
 * its own; what goes upstream is their union, with what was there before the proxy (`base`).
 */
export type Presubscription = Record<string, unknown>

export interface Lists {
  base: Presubscription[]
  members: Map<string, Presubscription[]>
}

const basePrefix = 'presubscription-base'
const memberPrefix = 'presubscription:'

/** The array as read, or `undefined` if it is none. */
export function readPresubscriptions (text: string): Presubscription[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every(isEntry) ? value : undefined
  } catch {
    return undefined
  }
}

function isEntry (value: unknown): value is Presubscription {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * The lists after a look at what upstream has now: what is there and isn't a member's came from outside, and what was the
 * base's and is gone was taken away outside.
 */
export function refreshBase ({ base, members }: Lists, upstream: Presubscription[]): Lists {
  const ofBase = identities(base)
  const ofMembers = identities([...members.values()].flat())
  return { members, base: upstream.filter(entry => ofBase.has(identify(entry)) || !ofMembers.has(identify(entry))) }
}

/** The lists after a member has put its own in place; entries that are the base's anyway stay the base's alone. */
export function replaceList ({ base, members }: Lists, member: string, entries: Presubscription[]): Lists {
  const ofBase = identities(base)
  const own = unique(entries.filter(entry => !ofBase.has(identify(entry))))
  const next = new Map(members)
  if (own.length === 0) next.delete(member)
  else next.set(member, own)
  return { base, members: next }
}

export function unite ({ base, members }: Lists): Presubscription[] {
  return unique([...base, ...[...members.values()].flat()])
}

/** What a member is shown: the base, which holds for everyone, and its own. */
export function viewOf ({ base, members }: Lists, member: string): Presubscription[] {
  return unique([...base, ...members.get(member) ?? []])
}

export function isSame (a: Presubscription[], b: Presubscription[]): boolean {
  const ofA = identities(a)
  const ofB = identities(b)
  return ofA.size === ofB.size && [...ofA].every(identity => ofB.has(identity))
}

export function loadLists (state: StateMap): Lists {
  const members = state.entries(memberPrefix).map(([key, entries]) => [key.slice(memberPrefix.length), entries as Presubscription[]] as const)
  return { base: (state.get(basePrefix) ?? []) as Presubscription[], members: new Map(members) }
}

export function saveLists (state: StateMap, before: Lists, after: Lists): void {
  if (!isSame(before.base, after.base)) state.set(basePrefix, after.base)
  for (const [member, entries] of after.members) {
    if (before.members.get(member) !== entries) state.set(memberPrefix + member, entries)
  }
  for (const member of before.members.keys()) {
    if (!after.members.has(member)) state.delete(memberPrefix + member)
  }
}

function unique (entries: Presubscription[]): Presubscription[] {
  return [...new Map(entries.map(entry => [identify(entry), entry])).values()]
}

function identities (entries: Presubscription[]): Set<string> { return new Set(entries.map(identify)) }

/** Two entries are the same if they differ only in the order of their fields. */
function identify (entry: Presubscription): string {
  return JSON.stringify(Object.entries(entry).sort(([a], [b]) => a < b ? -1 : 1))
}
