import { accountRoutes } from './account-routes.ts'
import { apiKeyRoutes } from './api-key-routes.ts'
import { applicationRoutes } from './application-routes.ts'
import type { TlsMaterial } from './certificate.ts'
import { makeCertificate } from './certificate.ts'
import type { NewEvent } from './channels.ts'
import { deviceRequestRoutes } from './device-request-routes.ts'
import { deviceRoutes } from './device-routes.ts'
import { downloadRoutes } from './download-routes.ts'
import { enrollmentRoutes } from './enrollment-routes.ts'
import { firmwareRoutes } from './firmware-routes.ts'
import { groupRoutes } from './group-routes.ts'
import { startLife } from './life.ts'
import type { DeviceRequests } from './device-requests.ts'
import type { Events } from './events.ts'
import type { Misbehaviour, MisbehaviourRule } from './misbehaviour.ts'
import { notificationRoutes } from './notification-routes.ts'
import { settle } from './options.ts'
import type { SandboxOptions } from './options.ts'
import type { Population } from './population.ts'
import type { Match, ReceivedRequest } from './received.ts'
import { Router } from './router.ts'
import { SandboxServer } from './server.ts'
import { sharedKeyRoutes } from './shared-key-routes.ts'
import { subscriptionRoutes } from './subscription-routes.ts'
import { updateRoutes } from './update-routes.ts'
import { addKey, makeWorld } from './world.ts'
import type { KeyOptions, World } from './world.ts'

export type { SandboxOptions } from './options.ts'
export type { TlsMaterial } from './certificate.ts'
export type { ReceivedRequest } from './received.ts'
export type { Misbehaviour, MisbehaviourRule } from './misbehaviour.ts'
export type { FaultName } from './faults.ts'
export type { NewEvent } from './channels.ts'
export type { KeyOptions } from './world.ts'
export { faultNames } from './faults.ts'
export { mintAccessKey } from './identifiers.ts'
export { patternBytes } from './respond.ts'

/** A stand-in for the Device Management API, over TLS, programmable. */
export interface Sandbox {
  /** `https://host:port` */
  readonly origin: string
  readonly port: number
  /** The root to trust. */
  readonly caPem: string
  /** To start another sandbox with the same certificate. */
  readonly tls: TlsMaterial
  readonly accountId: string
  /** The first access key. */
  readonly accessKey: string
  /** Every request as it reached the wire, oldest first. Holds secrets: not for output. */
  readonly received: readonly ReceivedRequest[]
  /** What the HTTP parser refused. */
  readonly malformed: ReadonlyArray<{ code: string, bytes: Buffer }>
  /** The first request that matches, of those received or of those to come, as soon as its headers are there. */
  waitFor (match: Match): Promise<ReceivedRequest>
  clearReceived (): void
  /** TCP connections so far, TLS handshakes done, TCP connections and WebSockets open now. */
  connections (): { opened: number, secured: number, open: number, webSockets: number }
  /** Ends every connection at once, by FIN or by RST. */
  dropConnections (reset?: boolean): void

  addAccessKey (options?: KeyOptions): string
  /** For good: 401 from now on, and its notification WebSocket is closed with 1008. */
  revokeAccessKey (key: string): boolean
  /** INACTIVE: 401 from now on, but what is open goes on, as the API has it. */
  setAccessKeyStatus (key: string, status: 'ACTIVE' | 'INACTIVE'): void

  misbehave (rule: MisbehaviourRule): Misbehaviour
  behave (): void

  /** The directory, to look devices up. */
  readonly devices: Population
  /** To make a device register, report, deregister, expire. */
  readonly events: Pick<Events, 'register' | 'updateRegistration' | 'deregister' | 'expire' | 'report'>
  /** To make a device sleep or fall silent. */
  readonly deviceRequests: Pick<DeviceRequests, 'setReachability' | 'queued'>
  /** Puts an event on the channel of the application of `key` (default: the first key). */
  notify (event: NewEvent, key?: string): void
  /** The mechanism of that channel, how many events wait in it, how many connections were sent away for another; `undefined` without one. */
  channel (key?: string): { mechanism: string, connected: boolean, queued: number, dropped: number, displaced: number } | undefined
  /** Closes all WebSockets, e.g. with 1012 for a restart; without a code abruptly (1006). */
  closeWebSockets (code?: number, reason?: string): void

  close (): Promise<void>
}

export async function startSandbox (options: SandboxOptions = {}): Promise<Sandbox> {
  const settled = settle(options)
  const tls = options.tls ?? makeCertificate(options.certificate)
  const world = makeWorld(settled)
  const server = new SandboxServer(world, makeRouter(world), tls)
  const port = await server.listen(settled.host, settled.port)
  world.origin = `https://${settled.host.includes(':') ? `[${settled.host}]` : settled.host}:${port}`
  startLife(world)
  return present(world, server, tls, port)
}

function makeRouter (world: World): Router {
  const services = [
    accountRoutes, applicationRoutes, apiKeyRoutes,
    deviceRoutes, groupRoutes, enrollmentRoutes, sharedKeyRoutes,
    deviceRequestRoutes, subscriptionRoutes, notificationRoutes,
    firmwareRoutes, updateRoutes, downloadRoutes
  ]
  return services.reduce((router, routesOf) => router.add(routesOf(world)), new Router())
}

function present (world: World, server: SandboxServer, tls: TlsMaterial, port: number): Sandbox {
  const accessKey = world.keys.list()[0]?.key ?? ''
  const scopeOf = (key: string): string => world.keys.get(key)?.scope ?? ''
  return {
    origin: world.origin,
    port,
    caPem: tls.caPem,
    tls,
    accountId: world.accountId,
    accessKey,
    received: server.received.list,
    malformed: server.malformed,
    waitFor: async match => await server.received.wait(match),
    clearReceived: () => { server.received.list.length = 0 },
    connections: () => ({ opened: server.sockets.opened, secured: server.sockets.secured, open: server.sockets.open, webSockets: server.webSockets.open }),
    dropConnections: reset => server.sockets.drop(reset),
    addAccessKey: (keyOptions = {}) => addKey(world, keyOptions).key,
    revokeAccessKey: key => world.keys.revoke(key),
    setAccessKeyStatus: (key, status) => {
      const credential = world.keys.get(key)
      if (credential !== undefined) credential.status = status
    },
    misbehave: rule => server.rules.add(rule),
    behave: () => server.rules.clear(),
    devices: world.population,
    events: world.events,
    deviceRequests: world.deviceRequests,
    notify: (event, key = accessKey) => world.channels.push(scopeOf(key), event),
    channel: (key = accessKey) => {
      const channel = world.channels.get(scopeOf(key))
      return channel && { mechanism: channel.mechanism, connected: channel.sink !== undefined, queued: channel.queue.length, dropped: channel.queue.dropped, displaced: channel.displaced }
    },
    closeWebSockets: (code, reason) => server.webSockets.closeAll(code, reason),
    close: async () => {
      world.channels.closeAll()
      world.timers.close()
      await server.close()
    }
  }
}
