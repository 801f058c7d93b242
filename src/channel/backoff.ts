/** Delays between attempts, in milliseconds. `random` is from 0 (included) to 1, so that instances don't march in step. */

/** After the n-th failure in a row (from 1): 1–2 s, 2–4 s, … never above 30 s. */
export function reconnectDelayMs (failures: number, random: number): number {
  return Math.min(30_000, 1_000 * 2 ** Math.min(failures - 1, 5) * (1 + random))
}

/**
 * After the n-th eviction in a row: 30–45 s, 60–90 s, … up to a quarter of an hour and half as much again.
 * Whoever evicted us probably reconnects as we do; only patience ends that.
 */
export function evictionDelayMs (evictions: number, random: number): number {
  return Math.min(900_000, 30_000 * 2 ** Math.min(evictions - 1, 5)) * (1 + random / 2)
}

/** Until a refusal that somebody has to lift (a foreign channel, a refused key) is looked at again. */
export function refusalDelayMs (random: number): number {
  return 300_000 * (1 + random / 5)
}
