/**
 * How often a property is tried: a short run with a fixed seed in `npm test`, so that a red build is red again;
 * `FUZZ_RUNS=10000` for as many with a new seed, which fast-check prints when it finds something (`FUZZ_SEED` repeats it).
 */
export function fuzzRuns (shortRun = 200): { numRuns: number, seed?: number } {
  const runs = Number(process.env['FUZZ_RUNS'] ?? 0)
  if (runs === 0) return { numRuns: shortRun, seed: 20260101 }
  return { numRuns: runs, ...(process.env['FUZZ_SEED'] !== undefined && { seed: Number(process.env['FUZZ_SEED']) }) }
}
