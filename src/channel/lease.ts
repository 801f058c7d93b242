/**
 * The right to hold the key's one upstream channel. In one process it is always held; several instances share it through a
 * store, where each new holder gets a higher fencing token, so that a holder that slept can't write after it lost the lease.
 */
export interface Lease {
  /** Tries to hold the lease until `release`. `lost` may be followed by another `gained`. */
  hold (callbacks: LeaseCallbacks): void
  release (): Promise<void>
}

export interface LeaseCallbacks {
  gained (fencingToken: number): void
  lost (): void
}

/** For a single instance: nobody else can hold it. */
export class LocalLease implements Lease {
  hold ({ gained }: LeaseCallbacks): void { gained(1) }

  async release (): Promise<void> {}
}
