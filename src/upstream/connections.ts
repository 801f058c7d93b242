import { isIP, type Socket } from 'node:net'
import { Client, Pool, ProxyAgent, buildConnector, type Dispatcher } from 'undici'
import type { Settings } from '../config/table.ts'
import { watchAddresses } from './addresses.ts'
import { verifiedTls } from './tls-options.ts'
import { WarmSockets } from './warm-sockets.ts'

/** Every connection to the API: one origin, verified TLS, kept for minutes, some opened ahead. */
export interface Connections {
  dispatch: Dispatcher['dispatch']
  /** Sends on a connection of its own that nothing else used or will use. */
  dispatchFresh: Dispatcher['dispatch']
  stats (): { open: number, running: number, queued: number, warm: number }
  close (): Promise<void>
}

export type ConnectionSettings = Pick<Settings, 'caFile' | 'httpsProxy' | 'upstreamConnections' | 'upstreamWarmConnections' | 'upstreamKeepAlive' | 'upstreamConnectTimeout'>

/** What an exchange wants to know of the connection it runs on. */
export interface ConnectionUser {
  /** Set by the connection the request is handed to. */
  connection?: TrackedClient
}

/** One connection, and whether it had been open before the request at hand. */
export class TrackedClient extends Client {
  /** Answers that came over the present connection. */
  answers = 0
  /** The present connection was opened ahead. */
  warm = false

  constructor (origin: string | URL, options: Client.Options, dial: (client: TrackedClient) => buildConnector.connector) {
    // eslint-disable-next-line prefer-const -- `this` can't be named before super()
    let self: TrackedClient
    super(origin, { ...options, connect: (target, done) => dial(self)(target, done) })
    self = this
    this.on('disconnect', () => { this.answers = 0 })
  }

  get reused (): boolean { return this.warm || this.answers > 0 }

  override dispatch (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler & ConnectionUser): boolean {
    handler.connection = this
    return super.dispatch(options, handler)
  }
}

export function openConnections (origin: string, settings: ConnectionSettings, maxHeaderBytes: number): Connections {
  const tls = verifiedTls(settings)
  const connect = buildConnector({ ...tls, timeout: settings.upstreamConnectTimeout, allowH2: false, maxCachedSessions: 100 })
  const clientOptions: Client.Options = {
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: settings.upstreamKeepAlive,
    keepAliveMaxTimeout: settings.upstreamKeepAlive,
    maxHeaderSize: maxHeaderBytes
  }
  return settings.httpsProxy === undefined
    ? directConnections(origin, settings, connect, clientOptions)
    : tunnelledConnections(origin, settings.httpsProxy, settings, tls, clientOptions)
}

function directConnections (origin: string, settings: ConnectionSettings, connect: buildConnector.connector, options: Client.Options): Connections {
  const { hostname, port, protocol, host } = new URL(origin)
  const dialAhead = (done: (error: Error | null, socket: Socket | null) => void) =>
    connect({ hostname, host, protocol, port, ...(isIP(hostname) === 0 ? { servername: hostname } : {}) }, (error: Error | null, socket: Socket | null) => done(error, socket))
  let warm = new WarmSockets(dialAhead, settings.upstreamWarmConnections)

  const dial = (client: TrackedClient): buildConnector.connector => (target, done) => {
    const ready = warm.take()
    client.warm = ready !== undefined
    // Not at once: undici's client expects its connector to call back later.
    if (ready) queueMicrotask(() => done(null, ready))
    else connect(target, done)
  }
  const openPool = () => new Pool(origin, {
    ...options,
    connections: settings.upstreamConnections,
    factory: (poolOrigin, poolOptions) => new TrackedClient(poolOrigin, poolOptions as Client.Options, dial)
  })
  let pool = openPool()

  // A kept connection outlives a changed DNS record for as long as the old host answers: start afresh on a change.
  const watch = watchAddresses(hostname, () => {
    void pool.close()
    warm.close()
    warm = new WarmSockets(dialAhead, settings.upstreamWarmConnections)
    pool = openPool()
  })
  return {
    dispatch: (request, handler) => pool.dispatch(request, handler),
    dispatchFresh: (request, handler) => {
      const client = new Client(origin, { ...options, connect })
      const accepted = client.dispatch({ ...request, reset: true }, handler)
      void client.close()
      return accepted
    },
    stats: () => ({ open: pool.stats.connected, running: pool.stats.running, queued: pool.stats.queued, warm: warm.size }),
    async close () {
      watch.close()
      warm.close()
      await pool.destroy()
    }
  }
}

/** Through a forward proxy: CONNECT, then TLS with the API itself, verified end to end. */
function tunnelledConnections (origin: string, proxy: string, settings: ConnectionSettings, tls: ReturnType<typeof verifiedTls>, options: Client.Options): Connections {
  const open = () => new ProxyAgent({
    ...options,
    uri: proxy,
    connections: settings.upstreamConnections,
    requestTls: { ...tls, timeout: settings.upstreamConnectTimeout },
    proxyTls: { ...tls, timeout: settings.upstreamConnectTimeout }
  })
  const agent = open()
  return {
    dispatch: (request, handler) => agent.dispatch({ ...request, origin }, handler),
    dispatchFresh: (request, handler) => {
      const fresh = open()
      const accepted = fresh.dispatch({ ...request, origin, reset: true }, handler)
      void fresh.close()
      return accepted
    },
    stats: () => ({ open: 0, running: 0, queued: 0, warm: 0 }),
    close: () => agent.destroy()
  }
}
