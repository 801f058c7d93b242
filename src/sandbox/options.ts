import type { CertificateOptions, TlsMaterial } from './certificate.ts'

export interface SandboxOptions {
  /** Default 127.0.0.1. */
  host?: string
  /** Default 0: any free port. */
  port?: number
  /** Certificate and key to serve with, e.g. those of an earlier sandbox that is to come back. Default: made at start. */
  tls?: TlsMaterial
  /** How the certificate made at start should be, for tests of verification. */
  certificate?: CertificateOptions
  /** Access keys of the default application. Default: one, made at random in the API's shape. */
  accessKeys?: string[]
  /** Size of the fleet; computed by index, never held in memory, so a million costs nothing. Default 3000. */
  devices?: number
  /** The same seed gives the same fleet. Default 1. */
  seed?: number
  /** The fleet does nothing of its own accord: no registrations, reports or losses. Default false. */
  quiet?: boolean
  /** How often something happens in a fleet that is not quiet. Default 4. */
  eventsPerSecond?: number
  /** Pause before every answer. Default 0. */
  latencyMs?: number
  /** Milliseconds that one second of the API's own long periods lasts (poll wait, queue expiry, callback backoff, purge). Default 1000. */
  secondMs?: number
  /** How long a long poll waits before it answers 204. Default 30 seconds. */
  pollWaitMs?: number
  /** How long a device takes to answer. Default 40. */
  deviceReplyMs?: number
  /** How long a WebSocket handshake takes; a second one with the same key meanwhile gets 429. Default 0. */
  handshakeMs?: number
  /** Interval of WebSocket pings; a client that misses one is cut off. Default 30,000. */
  pingIntervalMs?: number
  /** How long events are gathered into one notification message. Default 5. */
  batchMs?: number
  /** Size of the channel's queue, beyond which the oldest events are dropped. Default 50 MB, as the API's. */
  maxQueueBytes?: number
  /** How long an idle connection is kept. Default 75,000. */
  keepAliveMs?: number
  /** Largest firmware image taken in one piece, else 413. Default 100 MB. */
  maxFirmwareBytes?: number
  /** Smallest chunk of an upload job but the last. Default 5 MB, as the API's. */
  minChunkBytes?: number
  /** Answer 200 with a description of what was received at every path the sandbox knows nothing of, instead of 404. Default false. */
  echoUnknown?: boolean
  /** Refuse a WebSocket handshake without `Origin` (400), as the API's specification says. Default false. */
  requireOrigin?: boolean
  /** Most requests kept in `received`, the oldest go first; 0 records nothing, for benchmarks. Default 10,000. */
  keepReceived?: number
}

export type Settled = Required<Omit<SandboxOptions, 'tls' | 'certificate' | 'accessKeys'>> & Pick<SandboxOptions, 'tls' | 'certificate' | 'accessKeys'>

export function settle (options: SandboxOptions): Settled {
  const secondMs = options.secondMs ?? 1000
  return {
    host: '127.0.0.1',
    port: 0,
    devices: 3000,
    seed: 1,
    quiet: false,
    eventsPerSecond: 4,
    latencyMs: 0,
    secondMs,
    pollWaitMs: 30 * secondMs,
    deviceReplyMs: 40,
    handshakeMs: 0,
    pingIntervalMs: 30_000,
    batchMs: 5,
    maxQueueBytes: 50_000_000,
    keepAliveMs: 75_000,
    maxFirmwareBytes: 100_000_000,
    minChunkBytes: 5_000_000,
    echoUnknown: false,
    requireOrigin: false,
    keepReceived: 10_000,
    ...options
  }
}
