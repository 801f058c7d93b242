import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { randomBytes } from 'node:crypto'
import type { RedisAddress } from '../config/kinds.ts'
import type { Settings } from '../config/table.ts'
import type { FleetService, HealthReport } from '../decorations.ts'
import { writeAddress } from './address.ts'
import type { Connections } from './connections.ts'
import { KeyAgreement, type KeyUsers } from './key-agreement.ts'
import { Membership } from './membership.ts'

export interface FleetOptions {
  settings: Pick<Settings, 'redisUrl' | 'redisPrefix' | 'redisCaFile' | 'trail'>
  /** Of the access key in use; `undefined` = there is none. Without it, keys are not compared. */
  keyFingerprint?: () => string | undefined
}

/** Longest wait for Redis at start; then the instance begins alone. */
const startMs = 2_000

/** Several instances that share a Redis act as one. Without `PROXY_REDIS_URL` there is no fleet. */
async function fleet (app: FastifyInstance, { settings, keyFingerprint = () => undefined }: FleetOptions): Promise<void> {
  const { redisUrl: address, redisPrefix, redisCaFile, trail } = settings
  if (address === undefined) return void app.decorate('fleet', undefined)
  // Redis' library is loaded only where there is a Redis.
  const { Connections } = await import('./connections.ts')
  const connections = new Connections(address, redisCaFile)
  const key = (name: string) => redisPrefix + name
  const instance = randomBytes(16).toString('hex')
  const agreement = new KeyAgreement()
  const beat = (users: KeyUsers) => {
    connections.probe()
    logKeys(app, agreement, users)
  }
  const membership = new Membership({ redis: connections.commands, key: key('instances'), instance, keyFingerprint, beat })
  app.decorate('fleet', makeService(instance, membership, connections, key))
  app.health.register('fleet', () => describeFleet(address, membership, agreement))
  // What other rooms still say to Redis on their way out comes first: they were registered later, so they close earlier.
  app.addHook('onClose', async () => {
    await membership.leave()
    connections.close()
  })
  await membership.settled(startMs)
  logStart(app, address, membership)
  membership.onChange(up => logChange(app, membership, up))
  if (trail.kind === 'sqlite') app.log.warn('each instance has a trail of its own: with a PostgreSQL in PROXY_TRAIL they share one')
}

function makeService (instance: string, membership: Membership, connections: Connections, key: (name: string) => string): FleetService {
  return {
    instance,
    get up () { return membership.up },
    get size () { return membership.size },
    redis: connections.commands,
    key,
    connect: () => connections.open(),
    onChange: listener => membership.onChange(listener)
  }
}

function describeFleet (address: RedisAddress, { up, size, since, failure }: Membership, { keys, problem }: KeyAgreement): HealthReport {
  return {
    state: up && problem === undefined ? 'ok' : 'degraded',
    // Alone it still serves.
    ready: true,
    details: { redis: writeAddress(address), up: up ? 1 : 0, since: new Date(since).toISOString(), failure: up ? null : failure, instances: size, access_keys: keys, ...(problem !== undefined && { problem }) }
  }
}

/** Fingerprints only. */
function logKeys ({ log }: FastifyInstance, agreement: KeyAgreement, users: KeyUsers): void {
  const change = agreement.note(users, performance.now())
  if (change === undefined) return
  const keys = { access_keys: agreement.describe() }
  if (change === 'agree') log.info(keys, 'fleet: all instances use the same access key again')
  else if (change === 'differ') log.warn(keys, 'fleet: instances under this PROXY_REDIS_PREFIX use different access keys; right for the minutes of a rotation, otherwise give those with another key a prefix of their own')
  else log.error(keys, 'fleet: the instances still use different access keys: limits and the notification channel are mixed up; give those with another key a PROXY_REDIS_PREFIX of their own, or finish the rotation')
}

function logStart ({ log }: FastifyInstance, address: RedisAddress, { up, size, failure }: Membership): void {
  const redis = writeAddress(address)
  if (up) log.info({ redis, instances: size }, 'fleet: joined')
  else log.warn({ redis, failure }, 'fleet: Redis does not answer; this instance begins alone, with limits of its own, and joins the others when it does')
}

function logChange ({ log }: FastifyInstance, { size, failure }: Membership, up: boolean): void {
  if (up) log.info({ instances: size }, 'fleet: Redis answers, the instances act as one')
  else log.warn({ instances: size, failure }, 'fleet: Redis is away; requests go on with this instance\'s share of the limits')
}

export default fp(fleet, { name: 'fleet', dependencies: ['health'] })
