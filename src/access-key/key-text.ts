import { Secret } from './secret.ts'

/** Why there is no key, as a sentence without its subject (`is empty`), and what to do about it. Never holds the key. */
export class KeyFault extends Error {
  readonly nextStep: string

  constructor (message: string, nextStep: string) {
    super(message)
    this.name = 'KeyFault'
    this.nextStep = nextStep
  }
}

const nothingElse = 'put nothing but the key there, as the portal showed it when it was created'
/** A JWT with a long certificate chain; beyond it no server would take the header. */
const maxLength = 8192
/** Under this length it is a typing error, and removing it from answers would garble them. */
const minLength = 16

/**
 * The key in a text that holds nothing else but white space around it. Its characters are those of a bearer token
 * (RFC 6750 §2.1), so it can neither split a header nor need an escape.
 */
export function parseKey (text: string): Secret {
  const key = text.replace(/^\ufeff/, '').trim()
  const fault = findFault(key)
  if (fault !== undefined) throw fault
  return new Secret(key)
}

function findFault (key: string): KeyFault | undefined {
  if (key === '') return new KeyFault('is empty', nothingElse)
  if (/^bearer\s/i.test(key)) return new KeyFault('begins with "Bearer"', nothingElse)
  if (/^[\w.-]+\s*=\s*["']?(?:ak_|eyJ|rt_)/.test(key)) return new KeyFault('holds a name and an equals sign before the key', nothingElse)
  if (/\s/.test(key)) return new KeyFault('holds more than one word or line', nothingElse)
  if (!/^[A-Za-z0-9._~+/-]+=*$/.test(key)) return new KeyFault('holds a character that cannot stand in a key (RFC 6750 §2.1: letters, digits, - . _ ~ + / =)', nothingElse)
  if (key.startsWith('izp_')) return new KeyFault('holds a member token of this proxy, not an access key of the API', nothingElse)
  if (/^ak_[0-9][A-Za-z0-9+/]{43}[0-9a-f]{32}$/.test(key)) return new KeyFault('holds only the public part of a key (79 characters, without the 32 secret ones)', 'the whole key is shown only when it is created: create a new one')
  if (key.length < minLength) return new KeyFault(`holds ${key.length} characters, too few for a key`, nothingElse)
  if (key.length > maxLength) return new KeyFault(`holds more than ${maxLength} characters`, nothingElse)
  return undefined
}
