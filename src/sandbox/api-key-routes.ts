import { errors, noContent, ok } from './answer.ts'
import type { Answer } from './answer.ts'
import { withAccountTwins } from './collection.ts'
import type { Exchange } from './exchange.ts'
import { mintAccessKey } from './identifiers.ts'
import { createKey, showKey, showNewKey, updateKey } from './key-view.ts'
import type { Credential } from './keys.ts'
import { pageOf, readListQuery } from './pagination.ts'
import type { Route } from './router.ts'
import type { World } from './world.ts'

/** API keys, which access keys have replaced but which still work; each has a notification channel of its own. */
export function apiKeyRoutes (world: World): Route[] {
  const { keys, accountId } = world

  function findKey (exchange: Exchange): Credential {
    const key = keys.find(exchange.param('apikey_id'))
    if (key?.kind !== 'api-key') throw errors.notFound('API key not found.')
    return key
  }

  /** `key__eq` takes the public part; the secret one has no place in a URL, and nothing is found by it. */
  function listKeys (exchange: Exchange): Answer {
    const listed = keys.list().filter(key => key.kind === 'api-key').map(key => showKey(key, accountId))
    return ok(pageOf(listed, readListQuery(exchange.query)))
  }

  async function createApiKey (exchange: Exchange): Promise<Answer> {
    const key = createKey(world, await exchange.json(), 'api-key')
    return { status: 201, json: showNewKey(key, accountId), headers: { Location: `${world.origin}/v3/api-keys/${key.id}` } }
  }

  /** The old secret is good for nothing from here on; the id stays. */
  function resetSecret (exchange: Exchange): Answer {
    const { key, id, name } = findKey(exchange)
    keys.revoke(key)
    return ok(showNewKey(keys.add({ key: mintAccessKey(accountId, id, 1), kind: 'api-key', name }), accountId))
  }

  function deleteKey (exchange: Exchange): Answer {
    keys.revoke(findKey(exchange).key)
    return noContent()
  }

  const path = '/v3/api-keys'
  const one = `${path}/{apikey_id}`
  return [
    { method: 'GET', path: `${path}/me`, handle: exchange => ok(showKey(exchange.credential, accountId)) },
    { method: 'PUT', path: `${path}/me`, handle: async exchange => ok(showKey(updateKey(exchange.credential, await exchange.json()), accountId)) },
    ...withAccountTwins([
      { method: 'GET', path, handle: listKeys },
      { method: 'POST', path, handle: createApiKey },
      { method: 'GET', path: one, handle: exchange => ok(showKey(findKey(exchange), accountId)) },
      { method: 'PUT', path: one, handle: async exchange => ok(showKey(updateKey(findKey(exchange), await exchange.json()), accountId)) },
      { method: 'DELETE', path: one, handle: deleteKey },
      { method: 'POST', path: `${one}/reset-secret`, handle: resetSecret }
    ], accountId)
  ]
}
