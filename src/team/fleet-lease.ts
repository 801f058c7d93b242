import type { Placed } from '../in-flight.ts'
import type { LimitsSession } from './limits-session.ts'
import type { Lease, Refusal } from './limits.ts'

/** A request's hold on limits that several instances keep together. */
export interface FleetLease extends Lease, Placed {
  /** Of the question that Redis was asked. */
  id: number
  /** `left`: its client went before Redis answered. */
  stage: 'here' | 'asked' | 'waiting' | 'left'
  answer: (refusal?: Refusal) => void
  /** Where Redis counts its place. */
  heldIn: LimitsSession | undefined
  /** Did Redis count it against the day's budget? */
  counted: boolean
  stopWaiting: (() => void) | undefined
}

export function makeFleetLease (lease: Lease): FleetLease {
  return { ...lease, id: 0, stage: 'here', answer: () => {}, place: -1, heldIn: undefined, counted: false, stopWaiting: undefined }
}
