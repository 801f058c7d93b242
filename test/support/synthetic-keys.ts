import { createHash, randomBytes } from 'node:crypto'

/** Keys are made when a test runs: one that stood in a file would look like a leak to a secret scanner, and be right to. */
type Bytes = (length: number) => Buffer

/** The same bytes for the same seed, so that what a property test found can be found again. */
export function seededBytes (seed: number): Bytes {
  let count = 0
  const next = () => createHash('sha256').update(`${seed}/${count++}`).digest()
  return length => Buffer.concat(Array.from({ length: Math.ceil(length / 32) }, next)).subarray(0, length)
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

export function makeSecretPart (bytes: Bytes = randomBytes, length = 32): string {
  return Array.from(bytes(length), byte => alphabet[byte % alphabet.length]).join('')
}

/** What the API itself shows of a key in lists: version, account id, key id; 79 characters. */
export function makePublicPart (bytes: Bytes = randomBytes, version = '1'): string {
  const accountId = Buffer.from(bytes(16).toString('hex')).toString('base64').slice(0, 43)
  return `ak_${version}${accountId}${bytes(16).toString('hex')}`
}

/** 111 characters, like the API's own. */
export function makeKey (bytes: Bytes = randomBytes, version = '1'): string {
  return makePublicPart(bytes, version) + makeSecretPart(bytes)
}

/** An older layout. */
export function makeShortKey (bytes: Bytes = randomBytes): string { return 'ak_' + bytes(16).toString('hex') }

export function makeJwt (bytes: Bytes = randomBytes): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'ES256', typ: 'JWT' })}.${part({ iss: bytes(8).toString('hex'), exp: 4_000_000_000 })}.${bytes(64).toString('base64url')}`
}

export function makeReferenceToken (bytes: Bytes = randomBytes): string { return 'rt_' + bytes(24).toString('hex') }

export function makeMemberToken (bytes: Bytes = randomBytes): string { return 'izp_' + bytes(32).toString('base64url') }

/** One key of each layout, with the part of it that has to stay secret. */
export function makeOfEachLayout (bytes: Bytes): { what: string, key: string, secret: string }[] {
  const key = makeKey(bytes)
  const short = makeShortKey(bytes)
  const jwt = makeJwt(bytes)
  const token = makeReferenceToken(bytes)
  const odd = Buffer.from(makeSecretPart(bytes, 30)).toString('base64') + '+/~.+/_-' + makeSecretPart(bytes, 9)
  return [
    { what: 'a key', key, secret: key.slice(79) },
    { what: 'a short key', key: short, secret: short.slice(3) },
    { what: 'a JWT', key: jwt, secret: jwt.slice(jwt.lastIndexOf('.') + 1) },
    { what: 'a reference token', key: token, secret: token.slice(3) },
    { what: 'a key of no known layout', key: odd, secret: odd }
  ]
}
