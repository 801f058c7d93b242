import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'
import { readCertificates } from '../config/pem.ts'
import type { Settings } from '../config/table.ts'

export interface VerifiedTls {
  secureContext: SecureContext
  rejectUnauthorized: true
  ALPNProtocols: string[]
}

let latest: { extra: string | undefined, secureContext: SecureContext } | undefined

/**
 * TLS towards the API: verified, 1.2 or newer, HTTP/1.1. There is no way to loosen it.
 * Stated in full because defaults elsewhere are not safe: @fastify/reply-from turns verification off. The context is made
 * once and not, as `tls.connect` would from a list of certificates, for every connection: that takes 17 ms of CPU each.
 */
export function verifiedTls ({ caFile }: Pick<Settings, 'caFile'>): VerifiedTls {
  const extra = caFile === undefined ? undefined : readCertificates('IZUMA_CA_FILE', caFile)
  if (latest === undefined || latest.extra !== extra) latest = { extra, secureContext: trust(extra) }
  return { secureContext: latest.secureContext, rejectUnauthorized: true, ALPNProtocols: ['http/1.1'] }
}

/** Named, because the default would add what NODE_EXTRA_CA_CERTS says. */
function trust (extra: string | undefined): SecureContext {
  return createSecureContext({ ca: extra === undefined ? [...rootCertificates] : [...rootCertificates, extra], minVersion: 'TLSv1.2' })
}
