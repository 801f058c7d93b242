import type { Member } from '../decorations.ts'
import { createCredential, type Credential } from './credential.ts'
import { deferPolicy, type Policy } from './policy.ts'
import { markOfMember } from './revocation-marks.ts'
import type { Team, TeamMember } from './team-file.ts'
import { TokenIndex } from './token.ts'

interface RosterEntry {
  role: Member['role']
  policy: Policy
  byDigest: Map<string, Credential>
  byCertificate: Credential | undefined
}

/** A team file made ready for look-ups. Replaced as a whole when the file changes. */
export class Roster {
  readonly #tokens = new TokenIndex<Credential>()
  readonly #members = new Map<string, RosterEntry>()
  readonly #expiriesMs: number[] = []

  /** @param revoked marks of what doesn't hold any more, whatever this file says (`revocation-marks.ts`) */
  constructor (team: Team, revoked: ReadonlySet<string> = new Set()) {
    const policies = new Map<string, Policy>()
    for (const member of team.members.values()) {
      // Most members of a large team have one of a few policies.
      const text = JSON.stringify(member.policy)
      const policy = policies.get(text) ?? deferPolicy(member.policy)
      policies.set(text, policy)
      this.#add(member, policy, revoked)
    }
  }

  get size (): number { return this.#members.size }

  names (): string[] { return [...this.#members.keys()] }

  find (name: string): Pick<RosterEntry, 'role' | 'policy'> | undefined {
    return this.#members.get(name)
  }

  /** Who has this token, unless it has expired. */
  findByToken (token: string, nowMs: number): Credential | undefined {
    const found = this.#tokens.find(token)
    return found !== undefined && found.expiresMs > nowMs ? found : undefined
  }

  /** Whose token this is or was: expired ones too. */
  findOwner (token: string): string | undefined {
    return this.#tokens.find(token)?.member.name
  }

  findByDigest (name: string, digest: string, nowMs: number): Credential | undefined {
    const found = this.#members.get(name)?.byDigest.get(digest)
    return found !== undefined && found.expiresMs > nowMs ? found : undefined
  }

  /** @param start the first hex digits of a token's digest */
  findByDigestStart (name: string, start: string, nowMs: number): Credential | undefined {
    for (const credential of this.#members.get(name)?.byDigest.values() ?? []) {
      if (start.length === 16 && credential.digest.startsWith(start) && credential.expiresMs > nowMs) return credential
    }
    return undefined
  }

  findByCertificate (name: string): Credential | undefined {
    return this.#members.get(name)?.byCertificate
  }

  /** Does what was known then still hold? Losing the role of admin, or getting it, ends it too: open pages show what the old role saw. */
  holds ({ member: { name, role }, digest, expiresMs }: Credential, nowMs: number): boolean {
    const entry = this.#members.get(name)
    if (entry === undefined || entry.role !== role || expiresMs <= nowMs) return false
    return digest === '' ? entry.byCertificate !== undefined : this.findByDigest(name, digest, nowMs) !== undefined
  }

  /** Did any token expire after the one time and not after the other? */
  hasExpiryBetween (afterMs: number, untilMs: number): boolean {
    return this.#expiriesMs.some(expiryMs => expiryMs > afterMs && expiryMs <= untilMs)
  }

  #add (member: TeamMember, policy: Policy, revoked: ReadonlySet<string>): void {
    const byDigest = new Map<string, Credential>()
    for (const { digest, expiresMs } of member.tokens) {
      if (revoked.has(digest)) continue
      const credential = createCredential(member, { policy, digest, expiresMs, session: '' })
      byDigest.set(digest, credential)
      this.#tokens.add(digest, credential)
      if (expiresMs !== Infinity) this.#expiriesMs.push(expiresMs)
    }
    const byCertificate = revoked.has(markOfMember(member.name)) ? undefined : createCredential(member, { policy, digest: '', expiresMs: Infinity, session: '' })
    this.#members.set(member.name, { role: member.role, policy, byDigest, byCertificate })
  }
}
