import { errors, noContent, ok, plain, PlainError } from './answer.ts'
import type { Answer } from './answer.ts'
import { CallbackSink, readWebhook } from './callback.ts'
import type { Sink } from './channel.ts'
import { readSerialization, writeSerialization } from './event-queue.ts'
import type { Serialization } from './event-queue.ts'
import type { Exchange } from './exchange.ts'
import type { Route } from './router.ts'
import type { World } from './world.ts'

const purgeSeconds = 120

export function notificationRoutes (world: World): Route[] {
  const { channels, options, timers } = world
  /** Scopes whose poll channel was deleted and not purged yet. */
  const purging = new Set<string>()

  function getChannel ({ credential }: Exchange): Answer {
    const channel = channels.get(credential.scope)
    if (channel === undefined) throw errors.notFound('Channel was not found.')
    return ok({ delivery_mechanism: channel.mechanism })
  }

  /** The API cannot tell status and queue size, and says so. */
  function getWebSocket ({ credential }: Exchange): Answer {
    const channel = channels.find(credential.scope, 'WEB_SOCKET', 'No channel has been registered.')
    return ok({ status: 'unknown', queue_size: -1, serialization: writeSerialization(channel.serialization) })
  }

  async function putWebSocket (exchange: Exchange): Promise<Answer> {
    const serialization = serializationOf(await readOptional(exchange))
    const { channel, created } = channels.open(exchange.credential.scope, 'WEB_SOCKET', serialization)
    const json = { status: 'unknown', queue_size: -1, serialization: writeSerialization(channel.serialization) }
    return { status: created ? 201 : 200, json }
  }

  function deleteWebSocket ({ credential }: Exchange): Answer {
    channels.find(credential.scope, 'WEB_SOCKET', 'Websocket channel doesn\'t exist.')
    channels.delete(credential.scope)
    return noContent()
  }

  function pull (exchange: Exchange): Answer | Promise<Answer> {
    const { scope } = exchange.credential
    if (purging.has(scope)) throw new PlainError(410, 'CHANNEL_DELETED')
    const { channel } = channels.open(scope, 'LONG_POLLING', defaultSerialization())
    if (channel.sink !== undefined) throw new PlainError(409, 'Long poll request exists already.')
    channels.touch(scope)
    return new Promise(resolve => {
      const finish = (answer: Answer): void => {
        channel.detach(sink)
        stopWaiting()
        resolve(answer)
      }
      const sink: Sink = {
        once: true,
        deliver: async text => {
          if (exchange.isGone) throw new Error('The client has left.')
          finish({ status: 200, text, headers: { 'Content-Type': 'application/json' } })
        },
        displaced: () => finish(noContent()),
        closed: () => finish(plain(410, 'CHANNEL_DELETED'))
      }
      const stopWaiting = timers.after(options.pollWaitMs, () => finish(noContent()))
      exchange.onGone(() => finish(noContent()))
      channel.attach(sink)
    })
  }

  function deletePull ({ credential: { scope } }: Exchange): Answer {
    if (channels.get(scope)?.mechanism !== 'LONG_POLLING') return plain(200, 'ALREADY_DELETED')
    channels.delete(scope)
    purging.add(scope)
    timers.after(purgeSeconds * options.secondMs, () => purging.delete(scope))
    return plain(200, 'REMOVED')
  }

  function getCallback ({ credential }: Exchange): Answer {
    const { sink, serialization } = channels.find(credential.scope, 'CALLBACK', 'The callback URL does not exist.')
    return ok({ ...(sink as CallbackSink).webhook, serialization: writeSerialization(serialization) })
  }

  async function putCallback (exchange: Exchange): Promise<Answer> {
    const { scope } = exchange.credential
    const body = await exchange.json()
    const webhook = readWebhook(body)
    const mechanism = channels.get(scope)?.mechanism
    if (mechanism !== undefined && mechanism !== 'CALLBACK') throw errors.badRequest('Other type of channel already exists.')
    const sink = new CallbackSink(webhook, { timers, secondMs: options.secondMs, giveUp: () => channels.delete(scope) })
    await sink.test()
    channels.delete(scope)
    channels.open(scope, 'CALLBACK', serializationOf(body)).channel.attach(sink)
    return noContent()
  }

  function deleteCallback ({ credential }: Exchange): Answer {
    channels.find(credential.scope, 'CALLBACK', 'Callback URL does not exist.')
    channels.delete(credential.scope)
    return noContent()
  }

  const routes: Route[] = [
    { method: 'GET', path: '/v2/notification/channel', handle: getChannel },
    { method: 'GET', path: '/v2/notification/websocket', handle: getWebSocket },
    { method: 'PUT', path: '/v2/notification/websocket', handle: putWebSocket },
    { method: 'DELETE', path: '/v2/notification/websocket', handle: deleteWebSocket },
    { method: 'GET', path: '/v2/notification/websocket-connect', handle: () => plain(426, 'Upgrade required') },
    { method: 'GET', path: '/v2/notification/pull', handle: pull },
    { method: 'DELETE', path: '/v2/notification/pull', handle: deletePull },
    { method: 'GET', path: '/v2/notification/callback', handle: getCallback },
    { method: 'PUT', path: '/v2/notification/callback', handle: putCallback },
    { method: 'DELETE', path: '/v2/notification/callback', handle: deleteCallback }
  ]
  return routes.map(route => ({ ...route, accessKeyOnly: true }))
}

/** A PUT without a body asks for the defaults. */
async function readOptional (exchange: Exchange): Promise<Record<string, unknown>> {
  return (await exchange.body()).length === 0 ? {} : await exchange.json()
}

function serializationOf (body: Record<string, unknown>): Serialization {
  const serialization = readSerialization(body['serialization'])
  if (serialization === undefined) throw errors.validation({ name: 'serialization', message: 'Type v2, max_chunk_size 100 to 10000.' })
  return serialization
}

function defaultSerialization (): Serialization {
  return readSerialization(undefined) as Serialization
}
