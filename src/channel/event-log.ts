/**
 * The log of what came over the channel, as one instance sees it. Listeners read it each at their own pace, so an event is
 * kept once however many wait for it. In one process it is a ring in memory (`memory-log.ts`); several instances put a
 * shared stream behind the same interface, each keeping the recent part of it at hand (`shared/shared-log.ts`).
 */
export interface EventLog {
  /** Position of the newest event; 0 before the first. Positions rise by one. */
  readonly head: number
  /** Position of the oldest event still held; `head + 1` when none is. */
  readonly first: number
  append (event: NewEvent): void
  /** The event at that position, or `undefined` if it is not (or no longer) held. */
  at (position: number): LoggedEvent | undefined
  /** The id of a position, as listeners get it and give it back after a reconnect. */
  idOf (position: number): string
  /** `undefined` if the id is none of this log's, or was written before the log began. */
  positionOf (id: string): number | undefined
  /** Calls back after each append. Returns an unsubscribe function. */
  onAppend (listener: (event: LoggedEvent) => void): () => void
  /** Whether an item with that `uid` came over the channel lately by way of another instance. */
  knows (uid: string): boolean
  /** Drops what is too old or too much. */
  expire (): void
  stats (): { events: number, bytes: number, oldestAt: number | null }
}

export interface NewEvent {
  /** The member it is for; `null` = everyone. */
  to: string | null
  /** A message of the API's own shape; empty for a gap. */
  text: string
  /** Why events may be missing at this place. */
  gap: GapReason | null
  /** Answers in it, for the instances whose requests they answer. */
  answers?: readonly AnswerNote[]
}

/** What the instance that sent a device request has to know of its answer. */
export interface AnswerNote {
  instance: string
  upstreamId: string
  /** The request's client waits for it there: the event is for nobody else. */
  waits: boolean
  trailId: string
  status: number | null
  latencyMs: number
}

export type GapReason =
  | 'channel_recreated' // the API had dropped the channel and its queue
  | 'channel_displaced' // a connection from outside had the channel for a while
  | 'holder_lost' // the instance that held the channel ended without letting go of it, with what it had received
  | 'message_unreadable' // a message arrived that is none of the API's shape
  | 'proxy_restarted' // the log of the process before is gone, with what a channel had not heard of it
  | 'overflow' // more came than could be held

export interface LoggedEvent extends Omit<NewEvent, 'text'> {
  position: number
  /** Milliseconds since the epoch. */
  at: number
  /** UTF-8 of the text, made once for all listeners. */
  bytes: Buffer
}

/** Bytes of an event, to be kept. Not from Node's pool as `Buffer.from` takes them: each would keep 64 KiB of it. */
export function encode (text: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text))
  bytes.write(text)
  return bytes
}

/** Whether somebody waits for the answer in this event, so that it doesn't go over the channel. */
export function isAwaited ({ answers }: Pick<NewEvent, 'answers'>): boolean {
  return answers?.[0]?.waits === true
}

/** How far back an answer is looked for that nobody took from the log. */
const searchedEvents = 10_000

/** The answer of that id which a request waits for, somewhere. */
export function findAwaited (log: EventLog, upstreamId: string): LoggedEvent | undefined {
  for (let position = log.head; position >= Math.max(log.first, log.head - searchedEvents); position--) {
    const event = log.at(position)
    if (event !== undefined && isAwaited(event) && event.answers?.[0]?.upstreamId === upstreamId) return event
  }
  return undefined
}
