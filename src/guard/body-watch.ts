import type { IncomingMessage } from 'node:http'
import type { OpenEntry } from '../trail/record.ts'

/**
 * Requests whose body is still on its way. One timer looks at all of them, so that a body costs a Map entry and no
 * timer of its own. A client that sends less than `minBytes` of its body within the time limit is cut off, whether it
 * pauses or dribbles (slow-body attack).
 */
export interface BodyWatch {
  /** Bodies still on their way. */
  readonly underWay: number
  add (request: IncomingMessage, entry: OpenEntry): void
  stop (): void
}

export interface BodyWatchOptions {
  idleTimeoutMs: number
  onIdle: (request: IncomingMessage, entry: OpenEntry) => void
  /** Monotonic clock, milliseconds. */
  now: () => number
}

interface Watched { entry: OpenEntry, bytesRead: number, since: number }

const longestLookIntervalMs = 2000
const minBytes = 1024

const entries = new WeakMap<IncomingMessage, OpenEntry>()

/** The entry of a request that has, or had, a body: for the parser's errors, which know only the message. */
export function entryOfBody (request: IncomingMessage): OpenEntry | undefined {
  return entries.get(request)
}

export function createBodyWatch ({ idleTimeoutMs, onIdle, now }: BodyWatchOptions): BodyWatch {
  const watched = new Map<IncomingMessage, Watched>()
  function look (): void {
    const at = now()
    for (const [request, state] of watched) {
      if (request.complete || request.destroyed) watched.delete(request)
      else if (hasMoved(request, state)) Object.assign(state, { bytesRead: request.socket.bytesRead, since: at })
      else if (at - state.since >= idleTimeoutMs) {
        watched.delete(request)
        onIdle(request, state.entry)
      }
    }
  }
  const timer = setInterval(look, Math.max(10, Math.min(longestLookIntervalMs, idleTimeoutMs / 4)))
  timer.unref()
  return {
    get underWay () { return watched.size },
    add (request, entry) {
      entries.set(request, entry)
      watched.set(request, { entry, bytesRead: request.socket.bytesRead, since: now() })
      request.once('close', () => { watched.delete(request) })
    },
    stop: () => clearInterval(timer)
  }
}

/** A full buffer means that upstream reads slowly and Node has stopped reading from the client: the client isn't late. */
function hasMoved (request: IncomingMessage, state: Watched): boolean {
  return request.readableLength >= request.readableHighWaterMark || request.socket.bytesRead - state.bytesRead >= minBytes
}
