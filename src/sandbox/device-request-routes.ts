import { randomUUID } from 'node:crypto'
import { noContent, ok, PlainError } from './answer.ts'
import type { Answer } from './answer.ts'
import type { Exchange, JsonObject } from './exchange.ts'
import type { DeviceData } from './fleet.ts'
import type { Route } from './router.ts'
import type { World } from './world.ts'

const maxWriteBytes = 1_048_576
const methods: ReadonlySet<unknown> = new Set(['GET', 'PUT', 'POST', 'DELETE'])

/** Requests to devices: the current API, where the client chooses the id, and the deprecated one, where the server does. Errors are bare words. */
export function deviceRequestRoutes ({ population, deviceRequests }: World): Route[] {
  function findRegistered (id: string, status = 404): DeviceData {
    const device = population.get(id)
    if (device?.state !== 'registered') throw new PlainError(status, 'DEVICE_NOT_FOUND')
    return device
  }

  function checkPath (device: DeviceData, path: string): void {
    if (population.resourceOf(device, path) === undefined) throw new PlainError(404, 'URI_PATH_DOES_NOT_EXISTS')
  }

  async function createAsyncRequest (exchange: Exchange): Promise<Answer> {
    const asyncId = exchange.query.get('async-id') ?? ''
    if (!/^[\w-]{1,40}$/.test(asyncId)) throw new PlainError(400, 'MALFORMED_ASYNC_ID')
    const retry = readNumber(exchange, 'retry', 0, 10)
    const expirySeconds = readNumber(exchange, 'expiry-seconds', 60, 2_592_000)
    const { method, path, payload } = await readRequest(exchange)
    const device = findRegistered(exchange.param('device-id'))
    checkPath(device, path)
    if (deviceRequests.isFull(device.id)) throw new PlainError(400, 'QUEUE_IS_FULL')
    deviceRequests.enqueue(device, { asyncId, scope: exchange.credential.scope, method, path, payload, retry, expirySeconds })
    return { status: 202 }
  }

  function listResources (exchange: Exchange): Answer {
    const device = findRegistered(exchange.param('device-id'))
    return ok(population.modelOf(device).resources.map(({ path, rt, observable }) => ({ uri: path, rt, obs: observable, type: '' })))
  }

  async function callResource (exchange: Exchange, method: string): Promise<Answer> {
    const payload = (await exchange.body()).toString()
    const device = findRegistered(exchange.param('device-id'), 410)
    const path = '/' + exchange.param('path')
    checkPath(device, path)
    if (deviceRequests.isFull(device.id)) throw new PlainError(429, 'QUEUE_IS_FULL')
    if (exchange.query.get('noResp') === 'true') return answerUnconfirmed(device)
    if (exchange.query.get('cacheOnly') === 'true') return { status: 205 }
    const asyncId = randomUUID()
    deviceRequests.enqueue(device, { asyncId, scope: exchange.credential.scope, method, path, payload, retry: undefined, expirySeconds: undefined })
    return { status: 202, json: { 'async-response-id': asyncId } }
  }

  /** A device in queue mode cannot be reached without confirmation. */
  function answerUnconfirmed (device: DeviceData): Answer {
    if (population.modelOf(device).queueMode) throw new PlainError(409, 'NON_CONFIRMABLE_NOT_SUPPORTED')
    return noContent()
  }

  const resource = (method: Route['method']): Route =>
    ({ method, path: '/v2/endpoints/{device-id}/{path*}', handle: async exchange => await callResource(exchange, method), maxBodyBytes: maxWriteBytes })

  return [
    { method: 'POST', path: '/v2/device-requests/{device-id}', handle: createAsyncRequest },
    { method: 'GET', path: '/v2/endpoints/{device-id}', handle: listResources },
    resource('GET'), resource('PUT'), resource('POST'), resource('DELETE')
  ]
}

function readNumber (exchange: Exchange, name: string, low: number, high: number): number | undefined {
  const text = exchange.query.get(name)
  if (text === null) return undefined
  const value = Number(text)
  if (!Number.isInteger(value) || value < low || value > high) throw new PlainError(400, `INVALID_${name.toUpperCase().replace('-', '_')}`)
  return value
}

async function readRequest (exchange: Exchange): Promise<{ method: string, path: string, payload: string }> {
  const body = await exchange.json().catch((): JsonObject => ({}))
  const { method, uri, 'payload-b64': encoded = '' } = body
  if (!methods.has(method) || typeof uri !== 'string' || !uri.startsWith('/') || typeof encoded !== 'string') throw new PlainError(400, 'MALFORMED_JSON_CONTENT')
  const [path = ''] = uri.split('?')
  return { method: String(method), path, payload: Buffer.from(encoded, 'base64').toString() }
}
