import { rootCertificates, type SecureContextOptions } from 'node:tls'
import { readCertificates } from '../config/pem.ts'
import type { Settings } from '../config/table.ts'

/**
 * TLS towards the API: verified, 1.2 or newer, HTTP/1.1. There is no way to loosen it.
 * Stated in full because defaults elsewhere are not safe: @fastify/reply-from turns verification off.
 */
export function verifiedTls ({ caFile }: Pick<Settings, 'caFile'>): SecureContextOptions & { rejectUnauthorized: true, ALPNProtocols: string[] } {
  return {
    ca: caFile === undefined ? [...rootCertificates] : [...rootCertificates, readCertificates('IZUMA_CA_FILE', caFile)],
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    ALPNProtocols: ['http/1.1']
  }
}
