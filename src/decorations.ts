import type { FastifyRequest } from 'fastify'
import type { Redis } from 'ioredis'
import type { Duplex } from 'node:stream'
import type { AccessKeyService } from './access-key/secret.ts'
import type { OpenEntry, TrailService } from './trail/record.ts'

/**
 * What the rooms put on Fastify for one another, as types only: each is set by the plugin of the room named
 * in its comment, and a room that needs one lists that plugin in its `dependencies`.
 */
declare module 'fastify' {
  interface FastifyInstance {
    /** ops: rooms report how they are; `status` and `readyz` show it. */
    health: HealthService
    /** access-key */
    accessKey: AccessKeyService
    /** trail */
    trail: TrailService
    /** fleet: `undefined` unless several instances share a Redis. */
    fleet: FleetService | undefined
    /** team */
    team: TeamService
    /** upstream */
    upstream: UpstreamService
    /** advice */
    advice: AdviceService
  }
  interface FastifyRequest {
    /** trail: set before any other hook runs. */
    entry: OpenEntry
    /** guard: set once the request has been let in. */
    target: RequestTarget
    /** team: who asks. */
    member: Member
    /** advice: codes of what was noted about the request. */
    advice: readonly string[]
    /** upstream: the raw socket of an upgrade request, and what came with it; `null` for an ordinary one. */
    upgrade: UpgradeSocket | null
  }
}

/** The request target as three readers see it. */
export interface RequestTarget {
  /** What goes upstream: byte for byte what was received, less any key in the query. */
  forward: string
  /** `forward` without the query. */
  path: string
  /** The query without `?`, as forwarded. */
  query: string
  /** For policy, routing and metrics only, never sent: decoded once, `//` and dot segments resolved. */
  canonicalPath: string
  /** Codes of what hygiene did, for the trail's `notes`. */
  notes: string[]
}

export interface Member {
  name: string
  role: 'admin' | 'member'
}

export interface Decision {
  allowed: boolean
  /** For the trail: `allow`, `deny <rule>` or `would-deny <rule>`. */
  decision: string
  /** The rule that decided, as the team file has it, or the preset's name. */
  rule: string
}

export interface TeamService {
  /** What the member's policy says of a method and canonical path. Pure look-up, no counting. */
  judge (member: Member, method: string, canonicalPath: string): Decision
  /** Calls back when a member's token is revoked or expires: close what is open. Returns an unsubscribe function. */
  onRevoked (member: Member, close: () => void): () => void
  /** May this member see events and answers of this device? */
  maySeeDevice (member: Member, deviceId: string): boolean
  /** Does no rule narrow the member's devices? Then none need be looked up. */
  seesAllDevices (member: Member): boolean
  /** Everyone with their usage, for the console and `status`. No tokens, no digests. */
  list (): MemberSummary[]
  /**
   * For what a room sends upstream beyond the request it answers, such as each page of a whole list: takes the member's and the key's
   * limits and calls back when it may go on, or with the error to answer. `release` ends it; `sent` = the API saw it.
   */
  acquire (member: Member, done: (error: Error | undefined, release: (sent: boolean) => void) => void): void
  /** Reads the team file anew, as SIGHUP asks. */
  reload (): void
}

/** What the instances of one key share through Redis (`PROXY_REDIS_URL`). */
export interface FleetService {
  /** Unguessable, of this process. */
  readonly instance: string
  /** Does Redis answer? */
  readonly up: boolean
  /** Instances alive, this one included, at least 1; while Redis is away the number last known. */
  readonly size: number
  /** For commands. They fail at once while Redis is away, and after a second when it doesn't answer. */
  readonly redis: Redis
  /** A key's or channel's name in Redis: those of another fleet on the same server differ. */
  key (name: string): string
  /** A connection of one's own, for blocking reads and subscriptions. It comes back by itself, and ends with the app. */
  connect (): Redis
  /** Called when Redis goes away and when it is back. Returns an unsubscribe function. */
  onChange (listener: (up: boolean) => void): () => void
}

export interface MemberSummary extends Member {
  lastSeen: string | null
  requestsToday: number
  refusedToday: number
  daily: number | null
  open: number
  concurrency: number | null
}

export interface AdviceService {
  /** The value of X-Proxy-Advice for the answer to a request, once its status is known; `undefined` if there is nothing to say. */
  header (request: FastifyRequest): string | undefined
}

/** For requests the proxy makes itself. Each has an entry of its own, already recorded by the caller. */
export interface UpstreamService {
  send (request: UpstreamRequest): Promise<UpstreamAnswer>
  /** Opens a WebSocket to a path of the API with the key in Authorization; see upstream/websocket.ts. */
  readonly origin: string
  readonly region: string
  /** For a WebSocket of the channel: the URL and the TLS and header options to dial with, key included. */
  websocketOptions (): WebSocketDial
}

export interface UpstreamRequest {
  method: string
  /** Path and query as they go on the wire. */
  path: string
  headers?: Record<string, string>
  body?: string | Buffer
  signal?: AbortSignal
  /** Milliseconds until the headers must be there. */
  headersTimeoutMs?: number
  /** For everybody who uses the proxy, and no answer to a member: goes first when connections to the API are short. */
  isHousekeeping?: boolean
  /** Called when the request goes out on a connection: once, or twice if a kept one had just been closed by the API. */
  onSent?: () => void
}

export interface UpstreamAnswer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: AsyncIterable<Buffer> & { text (): Promise<string>, destroy (): void }
}

export interface WebSocketDial {
  /** `wss://host[:port]` */
  origin: string
  headers: Record<string, string>
  /** For `new WebSocket(url, { ...tls })`: verified, never looser. */
  tls: Record<string, unknown>
}

/** `status` shows `details`; `ready: false` turns `readyz` red. */
export interface HealthReport {
  state: 'ok' | 'degraded' | 'failed'
  ready: boolean
  details?: Record<string, unknown>
}

export interface HealthService {
  register (name: string, report: () => HealthReport): void
  /** True from the first SIGTERM on. */
  readonly draining: boolean
  /** Turns `readyz` red and calls the listeners below. A second call does nothing. */
  beginDrain (): void
  /**
   * For rooms with sockets of their own: close them (WebSockets with 1001). Called at once if the drain has begun.
   * Returns an unsubscribe function.
   */
  onDrain (listener: () => void): () => void
  /** Somebody asked the process to stop by `POST /_proxy/quit`. */
  onQuit (listener: () => void): void
}

export interface UpgradeSocket {
  socket: Duplex
  head: Buffer
}
