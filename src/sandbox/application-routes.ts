import { errors, noContent, ok } from './answer.ts'
import type { Answer } from './answer.ts'
import { collectionRoutes, withAccountTwins } from './collection.ts'
import type { Exchange } from './exchange.ts'
import { createKey, showKey, showNewKey, updateKey } from './key-view.ts'
import type { Credential } from './keys.ts'
import { pageOf, readListQuery } from './pagination.ts'
import type { Handler, Route } from './router.ts'
import type { World } from './world.ts'

const maxKeysPerApplication = 2
const maxApplications = 25

/** Applications and their access keys; two keys an application are what a rotation without a gap needs. */
export function applicationRoutes (world: World): Route[] {
  const { keys, accountId, applications } = world

  const keysOf = (applicationId: string): Credential[] => keys.list().filter(key => key.applicationId === applicationId)

  function findKey (exchange: Exchange): Credential {
    const key = keys.find(exchange.param('key_id'))
    const application = exchange.params['application_id']
    if (key?.kind !== 'access-key' || (application !== undefined && key.applicationId !== application)) throw errors.notFound('Access key not found.')
    return key
  }

  function listKeys (exchange: Exchange, listed: Credential[]): Answer {
    return ok(pageOf(listed.map(key => showKey(key, accountId)), readListQuery(exchange.query)))
  }

  async function createAccessKey (exchange: Exchange): Promise<Answer> {
    const { id } = applications.find(exchange.param('application_id'))
    if (keysOf(id).length >= maxKeysPerApplication) throw errors.limitExceeded('An application can have two access keys.')
    const key = createKey(world, await exchange.json(), 'access-key', id)
    return { status: 201, json: showNewKey(key, accountId), headers: { Location: `${world.origin}/v3/applications/${id}/access-keys/${key.id}` } }
  }

  function deleteKey (key: Credential): Answer {
    keys.revoke(key.key)
    return noContent()
  }

  function createWithinLimit (create: Handler): Handler {
    return exchange => {
      if (applications.size >= maxApplications) throw errors.limitExceeded('The account can have 25 applications.')
      return create(exchange)
    }
  }

  function deleteWithKeys (exchange: Exchange): Answer {
    const { id } = applications.find(exchange.param('id'))
    for (const key of keysOf(id)) keys.revoke(key.key)
    applications.delete(id)
    return noContent()
  }

  function guard (route: Route): Route {
    if (route.method === 'POST') return { ...route, handle: createWithinLimit(route.handle) }
    return route.method === 'DELETE' ? { ...route, handle: deleteWithKeys } : route
  }

  const path = '/v3/applications/{application_id}/access-keys'
  const writable = { name: 100, description: 1000, status: 8, groups: Infinity }
  return withAccountTwins([
    ...collectionRoutes({ collection: applications, path: '/v3/applications', writable, required: ['name'], unique: 'name', origin: () => world.origin }).map(guard),
    { method: 'GET', path, handle: exchange => listKeys(exchange, keysOf(applications.find(exchange.param('application_id')).id)) },
    { method: 'POST', path, handle: createAccessKey },
    { method: 'GET', path: `${path}/{key_id}`, handle: exchange => ok(showKey(findKey(exchange), accountId)) },
    { method: 'PUT', path: `${path}/{key_id}`, handle: async exchange => ok(showKey(updateKey(findKey(exchange), await exchange.json()), accountId)) },
    { method: 'DELETE', path: `${path}/{key_id}`, handle: exchange => deleteKey(findKey(exchange)) },
    { method: 'GET', path: '/v3/access-keys', handle: exchange => listKeys(exchange, keys.list().filter(key => key.kind === 'access-key')) },
    { method: 'GET', path: '/v3/access-keys/{key_id}', handle: exchange => ok(showKey(findKey(exchange), accountId)) }
  ], accountId)
}
