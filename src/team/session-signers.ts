import { hkdfSync } from 'node:crypto'
import type { AccessKeyService, Secret } from '../access-key/secret.ts'
import { SessionSigner } from './session.ts'

/** An instance of its own signs with the key it keeps in its file. */
export function signAlone (key: Buffer): () => SessionSigner {
  const signer = new SessionSigner(key)
  return () => signer
}

/**
 * In a fleet a login on one instance counts on all. They need one signing key, and no place to leave it: whoever read it in Redis could
 * make sessions. But they hold one access key; what is derived from it is known to nobody else, and doesn't lead back to it (RFC 5869).
 * A rotation of the access key therefore ends the sessions.
 */
export function signTogether (accessKey: Pick<AccessKeyService, 'current'>, ownKey: Buffer): () => SessionSigner {
  const own = new SessionSigner(ownKey)
  let derivedFrom: Secret | undefined
  let derived = own
  return () => {
    const current = accessKey.current()
    if (current === undefined) return own
    if (current !== derivedFrom) {
      derivedFrom = current
      derived = new SessionSigner(Buffer.from(hkdfSync('sha256', current.reveal(), '', 'izuma-proxy console sessions', 32)))
    }
    return derived
  }
}
