import { readFileSync } from 'node:fs'

/** Descriptors that clients never get: the journal's segments, the store, DNS, certificates, the listener itself. */
const reserved = 64

/**
 * Most client connections that leave descriptors for the trail and for upstream. Beyond it Node accepts and closes at
 * once, which beats EMFILE: there accept fails, and so does the journal's next segment.
 * @param limits text of `/proc/self/limits`
 * @returns `undefined`: no limit is known
 */
export function computeMaxConnections (limits: string, upstreamConnections: number): number | undefined {
  const descriptors = Number(/^Max open files\s+([0-9]+)/m.exec(limits)?.[1] ?? Number.NaN)
  if (Number.isNaN(descriptors)) return undefined
  const forOthers = Math.min(reserved + upstreamConnections, Math.floor(descriptors / 2))
  return descriptors - forOthers
}

/** Where there is no /proc the system's own limit is all there is. */
export function readMaxConnections (upstreamConnections: number): number | undefined {
  try {
    return computeMaxConnections(readFileSync('/proc/self/limits', 'latin1'), upstreamConnections)
  } catch {
    return undefined
  }
}
