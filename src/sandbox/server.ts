import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { answerAdmin } from './admin.ts'
import { answerError, errors } from './answer.ts'
import type { Answer } from './answer.ts'
import type { TlsMaterial } from './certificate.ts'
import { describeRequest } from './echo.ts'
import { Exchange } from './exchange.ts'
import { poison } from './faults.ts'
import { seededRandom } from './random.ts'
import { MisbehaviourRules, rawAnswer } from './misbehaviour.ts'
import type { MisbehaviourRule } from './misbehaviour.ts'
import { Received } from './received.ts'
import type { Recording } from './received.ts'
import { RequestBody } from './request-body.ts'
import { distort, send } from './respond.ts'
import { splitTarget } from './router.ts'
import type { Match, Router } from './router.ts'
import { Sockets } from './sockets.ts'
import { Upgrades, writeRefusal } from './upgrades.ts'
import { WebSockets } from './websockets.ts'
import type { World } from './world.ts'

const defaultMaxBodyBytes = 1_048_576
const maxHeaderBytes = 65_536

/** One request on its way through the sandbox. */
interface Visit {
  request: IncomingMessage
  response: ServerResponse
  requestId: string
  path: string
  rawQuery: string
  recording: Recording | undefined
  body: RequestBody
}

/** The HTTP side: records what comes, misbehaves when told to, asks the router for the answer. */
export class SandboxServer {
  readonly #world: World
  readonly #router: Router
  readonly #server: Server
  readonly received: Received
  readonly rules: MisbehaviourRules
  readonly sockets: Sockets
  readonly webSockets: WebSockets
  /** What the HTTP parser refused. */
  readonly malformed: Array<{ code: string, bytes: Buffer }> = []

  constructor (world: World, router: Router, tls: TlsMaterial) {
    this.#world = world
    this.#router = router
    this.received = new Received(world.options.keepReceived)
    this.rules = new MisbehaviourRules(seededRandom(world.options.seed).next)
    this.#server = createServer({
      cert: tls.certPem,
      key: tls.keyPem,
      maxHeaderSize: maxHeaderBytes,
      keepAliveTimeout: world.options.keepAliveMs,
      requestTimeout: 0,
      shouldUpgradeCallback: request => request.headers.upgrade?.toLowerCase() === 'websocket'
    })
    this.sockets = new Sockets(this.#server)
    this.webSockets = new WebSockets(world)
    const upgrades = new Upgrades({ world, rules: this.rules, sockets: this.sockets, webSockets: this.webSockets, record: this.#record.bind(this) })
    this.#server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#visit(request, response).catch(() => response.destroy())
    })
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      upgrades.answer(request, socket, head).catch(() => socket.destroy())
    })
    this.#server.on('clientError', (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: Duplex) => this.#refuse(error, socket))
  }

  /** Resolves to the port. */
  async listen (host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => this.#server.once('error', reject).listen(port, host, resolve))
    return (this.#server.address() as AddressInfo).port
  }

  async close (): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve))
    this.webSockets.closeAll()
    this.sockets.drop()
    await closed
  }

  async #visit (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const visit = this.#begin(request, response)
    response.on('error', () => {})
    if (visit.path.startsWith('/_sandbox/')) return send(response, await answerAdmin(visit, this.rules), visit.requestId)
    const rule = this.rules.strike(request.method ?? '', visit.path)
    await this.#world.timers.sleep(rule?.latencyMs ?? this.#world.options.latencyMs)
    if (rule === undefined) return this.#send(visit, await this.#answer(visit))
    await this.#misbehave(visit, rule)
  }

  #begin (request: IncomingMessage, response: ServerResponse): Visit {
    const [path = '', rawQuery = ''] = splitTarget(request.url ?? '')
    const requestId = this.#world.ids.next()
    const recording = path.startsWith('/_sandbox/') ? undefined : this.#record(request, requestId, false)
    const body = new RequestBody(request, recording)
    if (recording !== undefined) response.on('close', () => recording.close(!response.writableFinished))
    return { request, response, requestId, path, rawQuery, recording, body }
  }

  #record (request: IncomingMessage, requestId: string, upgrade: boolean): Recording | undefined {
    if (!this.received.recording) return undefined
    const servername = (request.socket as TLSSocket).servername
    return this.received.add(request, { requestId, upgrade, socket: this.sockets.numberOf(request.socket), servername: typeof servername === 'string' ? servername : '' })
  }

  #send (visit: Visit, answer: Answer): void {
    if (visit.response.destroyed) return
    if (visit.recording !== undefined) visit.recording.entry.status = answer.status
    send(visit.response, answer, visit.requestId)
  }

  /** The usual answer. */
  async #answer (visit: Visit): Promise<Answer> {
    try {
      return await this.#handle(visit)
    } catch (error) {
      visit.body.start(0)
      return answerError(error, visit.requestId)
    }
  }

  async #handle (visit: Visit): Promise<Answer> {
    const { request, response, requestId, rawQuery, body } = visit
    const credential = this.#world.keys.authenticate(onlyAuthorization(request))
    const match = this.#router.find(request.method ?? '', visit.path)
    if (typeof match === 'string') return await this.#answerUnknown(visit, match)
    if (match.route.accessKeyOnly === true && credential.kind === 'session') throw errors.forbidden()
    body.start(match.route.maxBodyBytes ?? defaultMaxBodyBytes)
    return await match.route.handle(new Exchange({ request, response, requestId, credential, params: match.params, rawQuery, body }))
  }

  async #answerUnknown ({ request, body }: Visit, reason: Exclude<ReturnType<Router['find']>, Match>): Promise<Answer> {
    if (!this.#world.options.echoUnknown) throw reason === 'no-path' ? errors.notFound() : errors.methodNotAllowed()
    body.start(0)
    await body.read()
    return { status: 200, json: describeRequest(request, body) }
  }

  async #misbehave (visit: Visit, rule: MisbehaviourRule): Promise<void> {
    const { response, request } = visit
    const raw = rawAnswer(rule)
    if (rule.fault === 'unread-body') return
    if (raw !== undefined) {
      visit.body.start(0)
      return await this.sockets.write(request.socket, raw, this.#world.timers)
    }
    const usual = await this.#usual(visit, rule)
    this.#send(visit, distort(usual, rule, this.#world.timers))
    if (rule.fault === 'poison') response.on('finish', () => this.#world.timers.after(5, () => request.socket.write(poison)))
  }

  /** A rule that says what to answer needs nothing to be done; one that does not, only changes how. */
  async #usual (visit: Visit, rule: MisbehaviourRule): Promise<Answer> {
    const replaced = rule.fault === 'echo-request' || rule.status !== undefined || rule.body !== undefined || rule.bodyBytes !== undefined
    if (!replaced) return await this.#answer(visit)
    visit.body.start(0)
    await visit.body.read()
    if (rule.fault !== 'echo-request') return { status: rule.status ?? 200 }
    const { authorization = '' } = visit.request.headers
    return { status: 200, json: { headers: visit.request.rawHeaders }, headers: { 'X-Echo-Authorization': authorization } }
  }

  #refuse (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: Duplex): void {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
      return
    }
    this.malformed.push({ code: error.code ?? '', bytes: error.rawPacket ?? Buffer.alloc(0) })
    const requestId = this.#world.ids.next()
    socket.end(writeRefusal(answerError(errors.badRequest('Malformed HTTP request.'), requestId), requestId))
  }
}

/** Node keeps the first of several; which of them counts must not be a question. */
function onlyAuthorization (request: IncomingMessage): string | undefined {
  const names = request.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'authorization')
  if (names.length > 1) throw errors.badRequest('More than one Authorization header.')
  return request.headers.authorization
}
