import { randomUUID } from 'node:crypto'
import { errors, noContent, ok, PlainError } from './answer.ts'
import type { Answer } from './answer.ts'
import type { Exchange } from './exchange.ts'
import type { Route } from './router.ts'
import { readPresubscriptions } from './subscriptions.ts'
import type { World } from './world.ts'

export function subscriptionRoutes ({ population, events, deviceRequests, timers, options }: World): Route[] {
  const own = (exchange: Exchange) => events.subscriptionsOf(exchange.credential.scope)
  const pathOf = (exchange: Exchange): string => '/' + exchange.param('path')

  async function putPresubscriptions (exchange: Exchange): Promise<Answer> {
    const rules = readPresubscriptions(await exchange.jsonValue())
    if (rules === undefined) throw errors.badRequest('Malformed content, or more than the API allows.')
    own(exchange).presubscriptions = rules
    return noContent()
  }

  function deletePresubscriptions (exchange: Exchange): Answer {
    own(exchange).presubscriptions = []
    return noContent()
  }

  function listSubscriptions (exchange: Exchange): Answer {
    const paths = own(exchange).list(exchange.param('device-id'))
    if (paths.length === 0) throw new PlainError(404, 'SUBSCRIPTIONS_NOT_FOUND')
    return { status: 200, text: paths.join('\n') + '\n', headers: { 'Content-Type': 'text/uri-list' } }
  }

  function checkSubscription (exchange: Exchange): Answer {
    if (!own(exchange).has(exchange.param('device-id'), pathOf(exchange))) throw new PlainError(404, 'SUBSCRIPTION_NOT_FOUND')
    return { status: 200 }
  }

  /** 202: the device is told, and says on the channel that it has understood, with the present value. */
  function subscribe (exchange: Exchange): Answer {
    const device = population.get(exchange.param('device-id'))
    const path = pathOf(exchange)
    const resources = device === undefined ? [] : population.modelOf(device).resources.filter(resource => resource.path === path || resource.path.startsWith(path + '/'))
    if (device?.state !== 'registered') throw new PlainError(404, 'DEVICE_NOT_FOUND')
    const [first] = resources.filter(resource => resource.observable)
    if (first === undefined) throw new PlainError(404, 'URI_PATH_DOES_NOT_EXISTS')
    if (own(exchange).has(device.id, path)) return { status: 200 }
    own(exchange).add(device.id, path)
    const asyncId = randomUUID()
    const { scope } = exchange.credential
    timers.after(options.deviceReplyMs, () => {
      deviceRequests.answer(scope, asyncId, { status: 200, payload: population.read(device, first, Math.floor(Date.now() / 1000)) })
    })
    return { status: 202, json: { 'async-response-id': asyncId } }
  }

  function unsubscribe (exchange: Exchange, path?: string): Answer {
    own(exchange).remove(exchange.param('device-id'), path)
    return noContent()
  }

  const one = '/v2/subscriptions/{device-id}/{path*}'
  return [
    { method: 'GET', path: '/v2/subscriptions', handle: exchange => ok(own(exchange).presubscriptions), accessKeyOnly: true },
    { method: 'PUT', path: '/v2/subscriptions', handle: putPresubscriptions, accessKeyOnly: true },
    { method: 'DELETE', path: '/v2/subscriptions', handle: deletePresubscriptions, accessKeyOnly: true },
    { method: 'GET', path: '/v2/subscriptions/{device-id}', handle: listSubscriptions },
    { method: 'DELETE', path: '/v2/subscriptions/{device-id}', handle: exchange => unsubscribe(exchange) },
    { method: 'GET', path: one, handle: checkSubscription },
    { method: 'PUT', path: one, handle: subscribe },
    { method: 'DELETE', path: one, handle: exchange => unsubscribe(exchange, pathOf(exchange)) }
  ]
}
