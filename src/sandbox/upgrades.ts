import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { answerError } from './answer.ts'
import type { Answer } from './answer.ts'
import { rawAnswer } from './misbehaviour.ts'
import type { MisbehaviourRules } from './misbehaviour.ts'
import type { Recording } from './received.ts'
import { splitTarget } from './router.ts'
import type { Sockets } from './sockets.ts'
import type { WebSockets } from './websockets.ts'
import type { World } from './world.ts'

interface Parts {
  world: World
  rules: MisbehaviourRules
  sockets: Sockets
  webSockets: WebSockets
  record: (request: IncomingMessage, requestId: string, upgrade: true) => Recording | undefined
}

/** Requests to become a WebSocket: recorded and subject to misbehaviour like all others. */
export class Upgrades {
  readonly #parts: Parts

  constructor (parts: Parts) {
    this.#parts = parts
  }

  async answer (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { world, rules, sockets, record } = this.#parts
    const [path] = splitTarget(request.url ?? '')
    const requestId = world.ids.next()
    const recording = record(request, requestId, true)
    recording?.endBody(true, '', [])
    socket.on('error', () => {})
    socket.on('close', () => recording?.close(false))
    const rule = rules.strike(request.method ?? '', path)
    await world.timers.sleep(rule?.latencyMs ?? world.options.latencyMs)
    const raw = rule && rawAnswer(rule)
    if (raw !== undefined) return await sockets.write(socket, raw, world.timers)
    const refusal = rule?.status === undefined ? await this.#accept(request, socket, head, requestId) : { status: rule.status }
    if (recording !== undefined) recording.entry.status = refusal?.status ?? 101
    if (refusal !== undefined) socket.end(writeRefusal(refusal, requestId))
  }

  async #accept (request: IncomingMessage, socket: Duplex, head: Buffer, requestId: string): Promise<Answer | undefined> {
    try {
      await this.#parts.webSockets.accept(request, socket, head, requestId)
    } catch (error) {
      return answerError(error, requestId)
    }
  }
}

/** An answer in plain HTTP on a connection that Node's server has given away. */
export function writeRefusal ({ status, json }: Answer, requestId: string): string {
  const body = JSON.stringify(json ?? { object: 'error', code: status, type: 'error', message: 'Refused.', request_id: requestId })
  return `HTTP/1.1 ${status} Refused\r\nX-Request-ID: ${requestId}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`
}
