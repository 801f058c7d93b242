import { randomBytes } from 'node:crypto'

/** An id for a device request that no member can guess, of the form the API asks: 1–40 of `[A-Za-z0-9_-]`. */
export function makeUpstreamId (): string { return 'p_' + randomBytes(24).toString('base64url') }

/** True for those made here, as against those that the API chose. */
export function isOurId (id: string): boolean { return id.startsWith('p_') && id.length === 34 }
