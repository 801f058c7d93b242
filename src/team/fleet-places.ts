import { InFlight } from '../in-flight.ts'
import type { FleetLease } from './fleet-lease.ts'
import type { FleetRules } from './fleet-rules.ts'
import type { LimitsSession } from './limits-session.ts'

/** What this instance has open, and which of its places Redis counts. */
export class FleetPlaces {
  readonly #rules: FleetRules
  readonly #leases = new InFlight<FleetLease>()

  constructor (rules: FleetRules) {
    this.#rules = rules
  }

  add (lease: FleetLease): void { this.#leases.add(lease) }
  delete (lease: FleetLease): void { this.#leases.delete(lease) }

  /** Tells Redis of a place that was taken without asking. */
  take (lease: FleetLease, session: LimitsSession | undefined): void {
    if (session === undefined || lease.heldIn === session || !this.#rules.takesPlace(lease)) return
    lease.heldIn = session
    session.tell('h', lease.kind, lease.usage.name, 1)
  }

  /** A place that was counted in an earlier session is free with its end. */
  leave (lease: FleetLease, session: LimitsSession | undefined): void {
    if (lease.heldIn !== undefined && lease.heldIn === session) session.tell('h', lease.kind, lease.usage.name, -1)
    lease.heldIn = undefined
  }

  /** New limits: some who are here take up a place now, some don't any more. */
  correct (session: LimitsSession | undefined): void {
    for (const lease of this.#held()) {
      if (this.#rules.takesPlace(lease)) this.take(lease, session)
      else this.leave(lease, session)
    }
  }

  /** Everything that is held, to a session that begins. */
  tellAll (session: LimitsSession): void {
    const places = new Map<string, number>()
    for (const lease of this.#held()) {
      if (!this.#rules.takesPlace(lease)) continue
      lease.heldIn = session
      const place = `${lease.kind} ${lease.usage.name}`
      places.set(place, (places.get(place) ?? 0) + 1)
    }
    for (const [place, count] of places) session.tell('h', ...place.split(' '), count)
  }

  #held (): FleetLease[] {
    return this.#leases.list().filter(({ state }) => state === 'held')
  }
}
