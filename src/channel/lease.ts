/**
 * The right to hold the key's one upstream channel. In one process it is always held; several instances share it through a
 * store, where each new holder gets a higher fencing token, so that a holder that slept can't write after it lost the lease.
 */
export interface Lease {
  /** Nobody else can have it now: the channel may be dialled. */
  readonly confirmed: boolean
  /** Tries to get and keep the lease until `release`. `lost` may be followed by another `gained`. */
  hold (callbacks: LeaseCallbacks): void
  /** Gives it up for good, for others to have at once. */
  release (): Promise<void>
}

export interface LeaseCallbacks {
  gained (fencingToken: number): void
  lost (): void
}

/** For a single instance: nobody else can hold it. */
export class LocalLease implements Lease {
  readonly confirmed = true

  hold ({ gained }: LeaseCallbacks): void { gained(1) }

  async release (): Promise<void> {}
}
