import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { Signer } from '@fastify/cookie'

/** How long a login lasts. Revocation of the token it was made with ends it earlier. */
export const sessionMs = 12 * 3_600_000

/** What the console's cookie says. It names the token by the beginning of its digest: with the token the session ends. */
export interface Session {
  /** 22 characters of base64url. */
  id: string
  member: string
  /** First 16 hex digits of the token's SHA-256. */
  digestStart: string
  /** Wall clock, milliseconds. */
  expiresMs: number
}

/** Makes and reads the value of the console's cookie: readable, signed, useless with another installation's key. */
export class SessionSigner {
  readonly #key: Buffer
  readonly #signer: Signer
  /** Cookies know no ports: two proxies on one machine need two names. */
  readonly cookieName: string

  /** @param key 32 random bytes */
  constructor (key: Buffer) {
    this.#key = key
    this.#signer = new Signer(key, 'sha256')
    this.cookieName = 'izuma_proxy_' + createHash('sha256').update('name').update(key).digest('hex').slice(0, 8)
  }

  create (member: string, digest: string, nowMs: number): Session {
    return { id: randomBytes(16).toString('base64url'), member, digestStart: digest.slice(0, 16), expiresMs: nowMs + sessionMs }
  }

  sign ({ id, member, digestStart, expiresMs }: Session): string {
    return this.#signer.sign(['1', id, digestStart, expiresMs, Buffer.from(member).toString('base64url')].join('.'))
  }

  read (value: string, nowMs: number): Session | undefined {
    const { valid, value: text } = this.#signer.unsign(value)
    if (!valid || text === null) return undefined
    const [version, id = '', digestStart = '', expires, member = ''] = text.split('.')
    const expiresMs = Number(expires)
    if (version !== '1' || !(expiresMs > nowMs)) return undefined
    return { id, member: Buffer.from(member, 'base64url').toString(), digestStart, expiresMs }
  }

  /** What a page of the console sends back in X-CSRF-Token. Only a page that may read our answers knows it. */
  csrfToken (id: string): string {
    return createHmac('sha256', this.#key).update('csrf ').update(id).digest('base64url')
  }

  isCsrfToken (id: string, given: string | undefined): boolean {
    const expected = Buffer.from(this.csrfToken(id))
    const actual = Buffer.from(given ?? '')
    return expected.length === actual.length && timingSafeEqual(expected, actual)
  }
}

export interface PageHeaders {
  origin?: string | undefined
  host?: string | undefined
  'sec-fetch-site'?: string | string[] | undefined
}

/**
 * Does a request come from a page of the proxy's own, or from no page at all? SameSite=Strict is not enough: ports don't matter to
 * it, so a page on another port of this machine is the same site.
 */
export function isFromOwnPage ({ origin, host, 'sec-fetch-site': site }: PageHeaders): boolean {
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host?.toLowerCase())
}
