import { rootCertificates, type SecureContextOptions } from 'node:tls'

/**
 * TLS towards the API: verified, 1.2 or newer, HTTP/1.1. There is no way to loosen it.
 * Stated in full because defaults elsewhere are not safe: @fastify/reply-from turns verification off.
 */
export function verifiedTls (extraCa: string | undefined): SecureContextOptions & { rejectUnauthorized: true, ALPNProtocols: string[] } {
  return {
    ca: extraCa === undefined ? [...rootCertificates] : [...rootCertificates, extraCa],
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    ALPNProtocols: ['http/1.1']
  }
}
