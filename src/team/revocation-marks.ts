import type { Team } from './team-file.ts'

/** Marks tell other instances what was revoked: the digest of a token, or a member that left, who may be known by a certificate. */
export function markOfMember (name: string): string {
  return `member:${name}`
}

export function marksOf ({ members }: Team): Set<string> {
  const marks = new Set<string>()
  for (const { name, tokens } of members.values()) {
    marks.add(markOfMember(name))
    for (const { digest } of tokens) marks.add(digest)
  }
  return marks
}

/** How long a mark is kept. Names come back, with new tokens; a digest that was revoked never should. */
export function lifetimeMs (mark: string): number {
  return mark.startsWith('member:') ? 3_600_000 : 30 * 86_400_000
}
