import { Redis, type RedisOptions } from 'ioredis'
import { readFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'
import type { RedisAddress } from '../config/kinds.ts'

/** A command without an answer fails after this long, and its connection is given up. */
const commandTimeoutMs = 1_000
/** Blocking reads must be shorter than this, or their connection is taken for dead. */
const silenceMs = 4_000
const connectTimeoutMs = 2_000

/**
 * Nothing waits in a queue: while Redis is away a command fails at once, and is not sent later, when nobody knows any more
 * whether it still makes sense.
 */
const forCommands: RedisOptions = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  commandTimeout: commandTimeoutMs,
  socketTimeout: commandTimeoutMs
}

/** Blocking reads and subscriptions go on by themselves when Redis is back. */
const forReading: RedisOptions = { maxRetriesPerRequest: null, socketTimeout: silenceMs }

/** Every connection to Redis is made here. */
export class Connections {
  readonly commands: Redis
  readonly #options: RedisOptions
  readonly #open = new Set<Redis>()

  constructor (address: RedisAddress, caFile: string | undefined) {
    this.#options = describeConnection(address, caFile)
    this.commands = this.#make(forCommands)
  }

  /** One of its own, for blocking reads of up to two seconds and for subscriptions. */
  open (): Redis { return this.#make(forReading) }

  /** A subscription has no command under way, so only a question shows that its connection is dead. */
  probe (): void {
    for (const redis of this.#open) if (redis !== this.commands && redis.status === 'ready') redis.ping().catch(() => {})
  }

  close (): void {
    for (const redis of this.#open) redis.disconnect()
  }

  #make (purpose: RedisOptions): Redis {
    const redis = new Redis({ ...this.#options, ...purpose, replyMapping: 'legacy' })
    this.#open.add(redis)
    redis.on('end', () => this.#open.delete(redis))
    // Without a listener ioredis prints to the console. What goes wrong is seen by the heartbeat.
    redis.on('error', () => {})
    return redis
  }
}

function describeConnection (address: RedisAddress, caFile: string | undefined): RedisOptions {
  const { tls, ...place } = address
  return {
    ...place,
    ...(tls ? { tls: verifiedTls(caFile, address) } : {}),
    // One shape of answers, whatever the server's age.
    protocol: 2,
    disableClientInfo: true,
    connectionName: 'izuma-proxy',
    connectTimeout: connectTimeoutMs,
    keepAlive: 10_000,
    retryStrategy: attempts => Math.min(1_000, 50 * 2 ** Math.min(attempts, 5)) * (0.5 + Math.random() / 2),
    // After a failover the old primary takes no writes: look again where the name leads.
    reconnectOnError: error => error.message.startsWith('READONLY')
  }
}

/** Stated in full, so that nothing from outside can loosen it. */
function verifiedTls (caFile: string | undefined, { host }: RedisAddress) {
  return {
    ca: caFile === undefined ? [...rootCertificates] : [...rootCertificates, readFileSync(caFile, 'utf8')],
    minVersion: 'TLSv1.2' as const,
    rejectUnauthorized: true,
    ...(host === undefined ? {} : { servername: host })
  }
}
