import { evictionDelayMs, reconnectDelayMs, refusalDelayMs } from './backoff.ts'

/**
 * What the one upstream connection does next. Pure: events in, effects out. The API's rules it follows: a channel must be
 * registered (PUT) before a socket is opened; a second socket evicts the first (1001); a channel of another type must be
 * deleted before a WebSocket channel can be registered, which this proxy never does: it may be somebody's.
 */
export type LinkState =
  | 'idle' // nobody needs the channel
  | 'registering'
  | 'settling' // registered a moment ago; the API needs a little before it takes a socket
  | 'connecting'
  | 'open'
  | 'proving' // open, and a new key is being tried before the socket changes over to it
  | 'closing' // our own close is under way
  | 'waiting' // for the next attempt
  | 'taken' // a channel of another type is registered; looked at again now and then
  | 'refused' // the API doesn't take the key for this; stays so until the key changes

export interface Link {
  state: LinkState
  wanted: boolean
  /** The API has the channel, as far as we know: a socket may be dialled without PUT. */
  registered: boolean
  /** We have had this channel before, so one made anew means lost events. */
  known: boolean
  /**
   * A change of key that hasn't been acted upon yet: it came amid something else, or the new key couldn't be proven.
   * `back`: while it was being proven, the key of the open socket came back.
   */
  keyChanged: boolean | 'back'
  failures: number
  evictions: number
  /** Another connection has had the channel since ours was open last, and the events that came meanwhile. */
  missed: boolean
  /** What took the channel: CALLBACK or LONG_POLLING. */
  takenBy: string | null
}

export type LinkEvent =
  | { type: 'wanted' }
  | { type: 'unwanted' }
  /** `isSockets`: it is the key that the open socket was opened with. */
  | { type: 'key-changed', isSockets: boolean }
  | { type: 'registered', created: boolean }
  /** PUT was refused, or the upgrade. `mechanism` is what GET …/channel says after a 400. */
  | { type: 'refused', status: number, mechanism?: string | undefined, retryAfterMs?: number | undefined }
  /** No answer: network, TLS, time. */
  | { type: 'failed' }
  | { type: 'opened' }
  | { type: 'closed', code: number, openMs: number }
  | { type: 'timer' }

export type LinkEffect =
  | { do: 'register' }
  | { do: 'dial' }
  | { do: 'close' }
  /** Replaces any timer set before; every other effect than `report` leaves none running. */
  | { do: 'wait', ms: number }
  | { do: 'report', what: LinkReport }

export type LinkReport =
  | 'recreated' // the API had lost the channel: events may be missing, subscriptions have to be set again
  | 'missed' // open again after an eviction: what came meanwhile went to the other connection
  | 'evicted' // another socket took the channel: the key is used outside the proxy
  | 'taken'
  | 'key_refused'
  | 'handshake_busy'

export const initialLink: Link = {
  state: 'idle', wanted: false, registered: false, known: false, keyChanged: false, failures: 0, evictions: 0, missed: false, takenBy: null
}

const settleMs = 500
/** A connection that held this long ends a row of failures, or of evictions. */
const stableMs = 60_000
const undisturbedMs = 600_000

type Step = [Link, ...LinkEffect[]]

/** `random` is from 0 to 1 and spreads the delays. */
export function step (link: Link, event: LinkEvent, random: number): Step {
  switch (event.type) {
    case 'wanted': return onWanted({ ...link, wanted: true })
    case 'unwanted': return onUnwanted({ ...link, wanted: false })
    case 'key-changed': return onKeyChanged(link, event.isSockets)
    case 'registered': return onRegistered(link, event.created)
    case 'refused': return onRefused(link, event, random)
    case 'failed': return link.state === 'proving' ? onUnproven(link, reconnectDelayMs(4, random)) : backOff(link, random)
    case 'opened': return onOpened(link)
    case 'closed': return onClosed(link, event, random)
    case 'timer': return onTimer(link)
  }
}

function onWanted (link: Link): Step {
  if (link.state === 'idle') return register(link)
  // Somebody asks again: a foreign channel may be gone by now.
  return link.state === 'taken' ? register(link) : [link]
}

function onUnwanted (link: Link): Step {
  if (link.state === 'open') return stayOpen(link)
  // What is under way finishes and finds `wanted` unset; a delay too, or leaving and coming back would cut it short.
  return [link]
}

function onKeyChanged (link: Link, isSockets: boolean): Step {
  switch (link.state) {
    case 'open': return isSockets ? [{ ...link, keyChanged: false }] : register({ ...link, keyChanged: false }, 'proving')
    case 'proving': return [{ ...link, keyChanged: isSockets ? 'back' : true }]
    case 'idle': return [link]
    // Whatever the old key's attempt comes to, the new key starts afresh after it.
    case 'closing': case 'registering': case 'connecting': return [{ ...link, keyChanged: true }]
    default: return register({ ...link, failures: 0 })
  }
}

function onRegistered (link: Link, created: boolean): Step {
  const recreated = created && link.known
  const next: Link = { ...link, registered: true, known: true, takenBy: null }
  const reports: LinkEffect[] = recreated ? [{ do: 'report', what: 'recreated' }] : []
  if (link.keyChanged === 'back') return prepend(reports, stayOpen({ ...next, keyChanged: false }))
  if (link.keyChanged) return prepend(reports, register({ ...next, keyChanged: false }, link.state === 'proving' ? 'proving' : 'registering'))
  // The new key is good: change over. The old socket is closed first, so that there are never two; the API queues meanwhile.
  if (link.state === 'proving') return [{ ...next, state: 'closing' }, ...reports, { do: 'close' }]
  if (!link.wanted) return [{ ...next, state: 'idle' }, ...reports]
  if (created) return [{ ...next, state: 'settling' }, ...reports, { do: 'wait', ms: settleMs }]
  return [{ ...next, state: 'connecting' }, ...reports, { do: 'dial' }]
}

function onRefused (link: Link, { status, mechanism, retryAfterMs }: Extract<LinkEvent, { type: 'refused' }>, random: number): Step {
  if (link.state === 'proving') return prepend([{ do: 'report', what: 'key_refused' }], onUnproven(link, refusalDelayMs(random)))
  if (link.keyChanged) return afresh(link)
  if (!link.wanted) return [{ ...link, state: 'idle' }]
  if (mechanism !== undefined) {
    return [{ ...link, state: 'taken', registered: false, takenBy: mechanism }, { do: 'report', what: 'taken' }, { do: 'wait', ms: refusalDelayMs(random) }]
  }
  if (status === 401 || status === 403) {
    return [{ ...link, state: 'refused', registered: false }, { do: 'report', what: 'key_refused' }, { do: 'wait', ms: refusalDelayMs(random) }]
  }
  // 429 at the handshake: another one with this key is in progress.
  if (status === 429) return prepend([{ do: 'report', what: 'handshake_busy' }], backOff(link, random, retryAfterMs))
  return backOff({ ...link, registered: link.registered && status >= 500 }, random, retryAfterMs)
}

function onOpened (link: Link): Step {
  if (!link.wanted || link.keyChanged) return [{ ...link, state: 'closing' }, { do: 'close' }]
  if (!link.missed) return [{ ...link, state: 'open' }]
  return [{ ...link, state: 'open', missed: false }, { do: 'report', what: 'missed' }]
}

function onClosed (link: Link, { code, openMs }: Extract<LinkEvent, { type: 'closed' }>, random: number): Step {
  if (link.state === 'closing') return afresh(link)
  const rested: Link = {
    ...link,
    failures: openMs >= stableMs ? 0 : link.failures,
    evictions: openMs >= undisturbedMs ? 0 : link.evictions
  }
  // The old key's socket ended while the new key is tried: its registration is under way and goes on from there.
  if (link.state === 'proving') return [{ ...rested, state: 'registering', keyChanged: rested.keyChanged !== false }]
  if (!link.wanted) return [{ ...rested, state: 'idle' }]
  if (link.keyChanged) return afresh(rested)
  switch (code) {
    case 1001: return onEvicted({ ...rested, evictions: rested.evictions + 1 }, random)
    case 1008: return [{ ...rested, state: 'refused', registered: false }, { do: 'report', what: 'key_refused' }]
    // 1000: the channel was deleted. 1011: there is none.
    case 1000: case 1011: return backOff({ ...rested, registered: false }, random)
    default: return backOff(rested, random)
  }
}

function onEvicted (link: Link, random: number): Step {
  return [{ ...link, state: 'waiting', missed: true }, { do: 'report', what: 'evicted' }, { do: 'wait', ms: evictionDelayMs(link.evictions, random) }]
}

function onTimer (link: Link): Step {
  if (link.state === 'open') return link.keyChanged ? register({ ...link, keyChanged: false }, 'proving') : [link]
  if (!['settling', 'waiting', 'taken', 'refused'].includes(link.state)) return [link]
  if (!link.wanted) return [{ ...link, state: 'idle' }]
  return link.registered ? [{ ...link, state: 'connecting' }, { do: 'dial' }] : register(link)
}

/** The new key could not be proven: the old key's socket is open and stays so. Tried again later, or at once if it is another one by now. */
function onUnproven (link: Link, ms: number): Step {
  if (!link.wanted || link.keyChanged === 'back') return stayOpen({ ...link, keyChanged: false })
  if (link.keyChanged) return register({ ...link, keyChanged: false }, 'proving')
  return [{ ...link, state: 'open', keyChanged: true }, { do: 'wait', ms }]
}

function stayOpen (link: Link): Step {
  return link.wanted ? [{ ...link, state: 'open' }] : [{ ...link, state: 'closing' }, { do: 'close' }]
}

/** After a close of our own, or with a key that changed on the way. */
function afresh (link: Link): Step {
  const next = { ...link, keyChanged: false }
  if (!link.wanted) return [{ ...next, state: 'idle' }]
  return link.keyChanged || !link.registered ? register(next) : [{ ...next, state: 'connecting' }, { do: 'dial' }]
}

function register (link: Link, state: LinkState = 'registering'): Step {
  return [{ ...link, state }, { do: 'register' }]
}

function backOff (link: Link, random: number, atLeastMs = 0): Step {
  if (link.keyChanged) return afresh(link)
  if (!link.wanted) return [{ ...link, state: 'idle' }]
  const failures = link.failures + 1
  return [{ ...link, state: 'waiting', failures }, { do: 'wait', ms: Math.max(atLeastMs, reconnectDelayMs(failures, random)) }]
}

function prepend (effects: LinkEffect[], [link, ...rest]: Step): Step {
  return [link, ...effects, ...rest]
}
