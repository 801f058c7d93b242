import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { TLSSocket } from 'node:tls'
import { prefix, type MetricFamily } from './metric-family.ts'

/** undici's announcement of a new connection; once a connection, not once a request. */
const channel = 'undici:client:connected'

interface Connected { connectParams: { host: string }, socket: Partial<TLSSocket> }

export interface CertificateWatch {
  /** Milliseconds since the epoch; `undefined` before the first connection. */
  expiresAtMs (): number | undefined
  stop (): void
}

/** Remembers how long the certificate is valid that the API host showed on the newest connection. */
export function watchUpstreamCertificate (origin: string): CertificateWatch {
  const { host } = new URL(origin)
  let expiresAtMs: number | undefined
  const listen = (message: unknown) => {
    const { connectParams, socket } = message as Connected
    if (connectParams.host !== host || typeof socket.getPeerCertificate !== 'function') return
    const validTo = Date.parse(socket.getPeerCertificate().valid_to)
    if (Number.isFinite(validTo)) expiresAtMs = validTo
  }
  subscribe(channel, listen)
  return { expiresAtMs: () => expiresAtMs, stop: () => { unsubscribe(channel, listen) } }
}

export function certificateMetrics (watch: CertificateWatch): MetricFamily[] {
  return [{
    name: `${prefix}upstream_certificate_expiry_timestamp_seconds`,
    help: 'End of validity of the certificate the API host showed last.',
    type: 'gauge',
    collect: () => {
      const expiresAtMs = watch.expiresAtMs()
      return expiresAtMs === undefined ? [] : [{ value: expiresAtMs / 1000 }]
    }
  }]
}
