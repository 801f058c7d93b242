import { isIP, type Socket } from 'node:net'
import { Client, Pool, ProxyAgent, buildConnector, type Dispatcher } from 'undici'
import type { Settings } from '../config/table.ts'
import { watchAddresses } from './addresses.ts'
import { ConnectionQueue, type Dispatch, type QueuedRequest, type Sender } from './connection-queue.ts'
import { verifiedTls } from './tls-options.ts'
import { WarmSockets } from './warm-sockets.ts'

/** Every connection to the API: one origin, verified TLS, kept for minutes, some opened ahead. */
export interface Connections {
  /** Sends as soon as a connection is free or may be opened; returns what has to wait for that (see connection-queue.ts). */
  dispatch (options: Dispatcher.DispatchOptions, sender: Sender, isHousekeeping?: boolean): QueuedRequest | undefined
  /**
   * Sends on a connection of its own that nothing else used or will use. At once: it is for a request whose turn had come and whose
   * connection broke, so that it takes the place of that one.
   */
  dispatchFresh: Dispatcher['dispatch']
  stats (): { open: number, running: number, queued: number, warm: number }
  close (): Promise<void>
}

export type ConnectionSettings = Pick<Settings, 'caFile' | 'httpsProxy' | 'upstreamConnections' | 'upstreamWarmConnections' | 'upstreamKeepAlive' | 'upstreamConnectTimeout' | 'upstreamQueue' | 'upstreamQueueTimeout'>

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
  const openPool = () => {
    const opened = new Pool(origin, {
      ...options,
      connections: settings.upstreamConnections,
      factory: (poolOrigin, poolOptions) => new TrackedClient(poolOrigin, poolOptions as Client.Options, dial)
    })
    onRoom(opened, () => { if (opened === pool) queue.serve() })
    return opened
  }
  const queue = openQueue(settings, (request, handler) => pool.dispatch(request, handler))
  let pool = openPool()

  // A kept connection outlives a changed DNS record for as long as the old host answers: start afresh on a change.
  const watch = watchAddresses(hostname, () => {
    void pool.close()
    warm.close()
    warm = new WarmSockets(dialAhead, settings.upstreamWarmConnections)
    pool = openPool()
    queue.serve()
  })
  return {
    dispatch: (request, sender, isHousekeeping) => queue.dispatch(request, sender, isHousekeeping),
    dispatchFresh: (request, handler) => {
      const client = new Client(origin, { ...options, connect })
      const accepted = client.dispatch({ ...request, reset: true }, handler)
      void client.close()
      return accepted
    },
    stats: () => ({ open: pool.stats.connected, running: pool.stats.running, queued: queue.size + pool.stats.queued, warm: warm.size }),
    async close () {
      watch.close()
      warm.close()
      queue.close()
      await pool.destroy()
    }
  }
}

function openQueue (settings: ConnectionSettings, dispatch: Dispatch): ConnectionQueue {
  return new ConnectionQueue({ maxWaiting: settings.upstreamQueue, maxWaitMs: settings.upstreamQueueTimeout }, dispatch)
}

/** A request has ended, or a connection could not be made: undici drops that one, and says nothing of the place it leaves. */
function onRoom (pool: Pool, serve: () => void): void {
  pool.on('drain', serve).on('connectionError', serve)
}

/** Through a forward proxy: CONNECT, then TLS with the API itself, verified end to end. */
function tunnelledConnections (origin: string, proxy: string, settings: ConnectionSettings, tls: ReturnType<typeof verifiedTls>, options: Client.Options): Connections {
  const open = () => new ProxyAgent({
    ...options,
    uri: proxy,
    connections: settings.upstreamConnections,
    factory: (target, poolOptions) => {
      const pool = new Pool(target, poolOptions)
      onRoom(pool, queue.serve)
      return pool
    },
    requestTls: { ...tls, timeout: settings.upstreamConnectTimeout },
    proxyTls: { ...tls, timeout: settings.upstreamConnectTimeout }
  })
  const queue = openQueue(settings, (request, handler) => agent.dispatch({ ...request, origin }, handler))
  const agent = open()
  return {
    dispatch: (request, sender, isHousekeeping) => queue.dispatch(request, sender, isHousekeeping),
    dispatchFresh: (request, handler) => {
      const fresh = open()
      const accepted = fresh.dispatch({ ...request, origin, reset: true }, handler)
      void fresh.close()
      return accepted
    },
    stats: () => ({ open: 0, running: 0, queued: queue.size, warm: 0 }),
    close: () => {
      queue.close()
      return agent.destroy()
    }
  }
}
