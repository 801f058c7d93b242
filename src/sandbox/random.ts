/** Numbers that look random and are always the same for the same seed: the fleet must be the same at every start. */
export interface Random {
  /** 0 ≤ n < 1 */
  next (): number
  /** 0 ≤ n < below, whole. */
  below (below: number): number
  pick<T> (items: readonly T[]): T
}

/** Mixes two 32-bit numbers into one (the finalizer of MurmurHash3): one seed for each device, without a sequence to walk. */
export function mix (seed: number, salt: number): number {
  let hash = (seed ^ Math.imul(salt + 1, 0x9e3779b1)) >>> 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** mulberry32 (public domain): 32 bits of state are plenty for inventing names. */
export function seededRandom (seed: number): Random {
  let state = seed >>> 0
  function next (): number {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), state | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  return { next, below, pick: items => items[below(items.length)] as never }
}
