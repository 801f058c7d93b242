import { Channels } from './channels.ts'
import { Collection } from './collection.ts'
import { DeviceRequests } from './device-requests.ts'
import { Events } from './events.ts'
import { makeIdentifiers, mintAccessKey } from './identifiers.ts'
import type { Identifiers } from './identifiers.ts'
import type { Credential, CredentialKind } from './keys.ts'
import { Keys } from './keys.ts'
import type { Settled } from './options.ts'
import { Population } from './population.ts'
import { Timers } from './timers.ts'

/** Everything the handlers share: one account with its devices, keys and channels. */
export interface World {
  options: Settled
  ids: Identifiers
  timers: Timers
  accountId: string
  applications: Collection
  /** The application that the first keys belong to. */
  applicationId: string
  keys: Keys
  population: Population
  channels: Channels
  events: Events
  deviceRequests: DeviceRequests
  /** `https://host:port` */
  origin: string
}

export function makeWorld (options: Settled): World {
  const ids = makeIdentifiers(Date.now)
  const timers = new Timers()
  const accountId = ids.next()
  const applications = new Collection('application', ids, accountId)
  const applicationId = applications.create({ name: 'Sandbox application', description: '', status: 'ACTIVE', groups: [] }).id
  const keys = new Keys()
  const population = new Population(options, accountId, ids)
  const channels = new Channels(options, timers, ids)
  const events = new Events(population, channels)
  const deviceRequests = new DeviceRequests({ population, channels, events, options, timers })
  const world = { options, ids, timers, accountId, applications, applicationId, keys, population, channels, events, deviceRequests, origin: '' }
  const given = options.accessKeys ?? [mintAccessKey(accountId, ids.next())]
  for (const key of given) keys.add({ key, applicationId })
  return world
}

export interface KeyOptions {
  /** The secret itself. Default: a new one in the API's shape. */
  key?: string
  /** Default `access-key`; a `session` (`rt_…`) gets 403 from the notification services. */
  kind?: CredentialKind
  /** Of an access key. Default: the first application; `new` makes another, with a channel of its own. */
  application?: string
}

export function addKey ({ keys, ids, accountId, applications, applicationId }: World, { key, kind = 'access-key', application = applicationId }: KeyOptions): Credential {
  const minted = kind === 'session' ? `rt_${ids.next()}${ids.next()}` : mintAccessKey(accountId, ids.next(), kind === 'api-key' ? 1 : 2)
  return keys.add({ key: key ?? minted, kind, applicationId: application === 'new' ? applications.create({ name: `Application ${applications.size + 1}`, status: 'ACTIVE', groups: [] }).id : application })
}
