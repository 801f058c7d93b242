import { randomBytes } from 'node:crypto'
import { errors } from './answer.ts'

export type CredentialKind = 'access-key' | 'api-key' | 'session'

/** Somebody's right to call the API. */
export interface Credential {
  id: string
  /** The whole secret; the API shows it once, when it is made. */
  key: string
  kind: CredentialKind
  name: string
  /** Empty for API keys and sessions. */
  applicationId: string
  status: 'ACTIVE' | 'INACTIVE'
  /** Milliseconds since the epoch. */
  expiresAt: number | undefined
  createdAt: number
  lastUsedAt: number | undefined
  /** What shares one notification channel and its subscriptions: all keys of an application, or one API key. */
  scope: string
}

export interface NewCredential extends Partial<Pick<Credential, 'name' | 'kind' | 'applicationId' | 'expiresAt' | 'status'>> {
  key: string
}

/** The credentials of the account. */
export class Keys {
  readonly #byKey = new Map<string, Credential>()
  readonly #revoked: Array<(credential: Credential) => void> = []

  add (credential: NewCredential, clock: number = Date.now()): Credential {
    const kind = credential.kind ?? 'access-key'
    const id = /^ak_\d.{43}([0-9a-f]{32})/.exec(credential.key)?.[1] ?? randomBytes(16).toString('hex')
    const applicationId = kind === 'access-key' ? credential.applicationId ?? '' : ''
    const whole: Credential = {
      id,
      key: credential.key,
      kind,
      name: credential.name ?? 'sandbox key',
      applicationId,
      status: credential.status ?? 'ACTIVE',
      expiresAt: credential.expiresAt,
      createdAt: clock,
      lastUsedAt: undefined,
      scope: kind === 'access-key' ? `application ${applicationId}` : `key ${id}`
    }
    this.#byKey.set(whole.key, whole)
    return whole
  }

  /** Removes it for good, and tells those who hold something open for it. */
  revoke (key: string): boolean {
    const credential = this.#byKey.get(key)
    if (credential === undefined) return false
    this.#byKey.delete(key)
    for (const listener of this.#revoked) listener(credential)
    return true
  }

  onRevoked (listener: (credential: Credential) => void): void {
    this.#revoked.push(listener)
  }

  get (key: string): Credential | undefined { return this.#byKey.get(key) }

  find (id: string): Credential | undefined {
    return this.list().find(credential => credential.id === id)
  }

  list (): Credential[] { return [...this.#byKey.values()] }

  /** Who sent this `Authorization` value; 401 as the API has it otherwise. */
  authenticate (authorization: string | undefined): Credential {
    if (authorization === undefined || authorization === '') throw errors.unauthorized()
    const token = /^bearer +(\S+) *$/i.exec(authorization)?.[1]
    return this.accept(token)
  }

  accept (token: string | undefined): Credential {
    const credential = token === undefined ? undefined : this.#byKey.get(token)
    if (credential === undefined || !isUsable(credential)) throw errors.invalidAuth()
    credential.lastUsedAt = Date.now()
    return credential
  }
}

function isUsable (credential: Credential): boolean {
  return credential.status === 'ACTIVE' && (credential.expiresAt === undefined || credential.expiresAt > Date.now())
}
