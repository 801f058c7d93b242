import type { IncomingMessage, ServerResponse } from 'node:http'
import { InFlight, type Placed } from '../in-flight.ts'
import type { OpenEntry } from '../trail/record.ts'

/**
 * Requests whose body is still on its way. One timer looks at all of them, so that a body costs a place in a list and
 * no timer of its own. A client that sends less than `minBytes` of its body within the time limit is cut off, whether it
 * pauses or dribbles (slow-body attack). What an early answer leaves of a body is thrown away: unread it would stop the
 * connection, and hide for the keep-alive limit that the client has gone.
 */
export interface BodyWatch {
  /** Bodies still on their way. */
  readonly underWay: number
  add (request: IncomingMessage, response: ServerResponse, entry: OpenEntry): void
  stop (): void
}

export interface BodyWatchOptions {
  idleTimeoutMs: number
  onIdle: (request: IncomingMessage, entry: OpenEntry) => void
  /** Monotonic clock, milliseconds. */
  now: () => number
}

interface Watched extends Placed { request: IncomingMessage, entry: OpenEntry, response: ServerResponse, bytesRead: number, since: number }

const longestLookIntervalMs = 2000
const minBytes = 1024

const entries = new WeakMap<IncomingMessage, OpenEntry>()

/** The entry of a request that has, or had, a body: for the parser's errors, which know only the message. */
export function entryOfBody (request: IncomingMessage): OpenEntry | undefined {
  return entries.get(request)
}

export function createBodyWatch ({ idleTimeoutMs, onIdle, now }: BodyWatchOptions): BodyWatch {
  const watched = new InFlight<Watched>()
  function look (): void {
    const at = now()
    for (const state of watched.list()) {
      const { request } = state
      dropRest(request, state.response)
      if (request.complete || request.destroyed) watched.delete(state)
      else if (hasMoved(request, state)) Object.assign(state, { bytesRead: request.socket.bytesRead, since: at })
      else if (at - state.since >= idleTimeoutMs) {
        watched.delete(state)
        onIdle(request, state.entry)
      }
    }
  }
  const timer = setInterval(look, Math.max(10, Math.min(longestLookIntervalMs, idleTimeoutMs / 4)))
  timer.unref()
  return {
    get underWay () { return watched.size },
    add (request, response, entry) {
      entries.set(request, entry)
      const state: Watched = { request, entry, response, bytesRead: request.socket.bytesRead, since: now(), place: -1 }
      watched.add(state)
      request.once('close', () => { watched.delete(state) })
      response.once('finish', () => dropRest(request, response))
    },
    stop: () => clearInterval(timer)
  }
}

/** Node does so itself if nobody has begun to read. Whoever has may still be about to let go of it, so this is tried again. */
function dropRest (request: IncomingMessage, response: ServerResponse): void {
  if (response.writableFinished && !request.complete) request.resume()
}

/** A full buffer before the answer means that upstream reads slowly and Node has stopped reading from the client: the client isn't late. */
function hasMoved (request: IncomingMessage, { response, bytesRead }: Watched): boolean {
  return (request.readableLength >= request.readableHighWaterMark && !response.writableFinished) || request.socket.bytesRead - bytesRead >= minBytes
}
