import type { Member } from '../decorations.ts'
import type { Policy } from './policy.ts'

/** By what somebody was known: what has to stay true for as long as they keep a connection open. */
export interface Credential {
  /** One object for each credential, shared by all its requests: what other rooms see, and what finds the credential again. */
  readonly member: Member
  readonly policy: Policy
  /** Of the token, `''` for a certificate or for `local`. */
  readonly digest: string
  /** Wall clock, milliseconds; `Infinity` = never. */
  readonly expiresMs: number
  /** Id of the console's session, `''` without one. */
  readonly session: string
}

const credentials = new WeakMap<Member, Credential>()

export function createCredential ({ name, role }: Member, rest: Omit<Credential, 'member'>): Credential {
  const credential = { ...rest, member: Object.freeze({ name, role }) }
  credentials.set(credential.member, credential)
  return credential
}

/** The credential behind a request's member. Nothing of it can be read off the member itself, however that is printed. */
export function findCredential (member: Member): Credential | undefined {
  return credentials.get(member)
}
