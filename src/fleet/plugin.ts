import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { randomBytes } from 'node:crypto'
import type { RedisAddress } from '../config/kinds.ts'
import type { Settings } from '../config/table.ts'
import type { FleetService, HealthReport } from '../decorations.ts'
import { writeAddress } from './address.ts'
import type { Connections } from './connections.ts'
import { Membership } from './membership.ts'

export interface FleetOptions {
  settings: Pick<Settings, 'redisUrl' | 'redisPrefix' | 'redisCaFile' | 'trail'>
}

/** Longest wait for Redis at start; then the instance begins alone. */
const startMs = 2_000

/** Several instances that share a Redis act as one. Without `PROXY_REDIS_URL` there is no fleet. */
async function fleet (app: FastifyInstance, { settings }: FleetOptions): Promise<void> {
  const { redisUrl: address, redisPrefix, redisCaFile, trail } = settings
  if (address === undefined) return void app.decorate('fleet', undefined)
  // Redis' library is loaded only where there is a Redis.
  const { Connections } = await import('./connections.ts')
  const connections = new Connections(address, redisCaFile)
  const key = (name: string) => redisPrefix + name
  const instance = randomBytes(16).toString('hex')
  const membership = new Membership({ redis: connections.commands, key: key('instances'), instance, beat: () => connections.probe() })
  app.decorate('fleet', makeService(instance, membership, connections, key))
  app.health.register('fleet', () => describeFleet(address, membership))
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

function describeFleet (address: RedisAddress, { up, size, since, failure }: Membership): HealthReport {
  return {
    state: up ? 'ok' : 'degraded',
    // Alone it still serves.
    ready: true,
    details: { redis: writeAddress(address), up: up ? 1 : 0, since: new Date(since).toISOString(), failure: up ? null : failure, instances: size }
  }
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

export default fp(fleet, { name: 'fleet', fastify: '5.x', dependencies: ['health'] })
