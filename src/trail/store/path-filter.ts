/**
 * Which path segments occur in a block: a Bloom filter, as a B-tree over paths would cost more than storing the records
 * themselves. It may say yes wrongly (in 1 of 100 cases), but never no.
 */
export const pathFilterBytes = 256
const bits = pathFilterBytes * 8
const probes = 4

export function addPath (filter: Uint8Array, path: string): void {
  for (const segment of splitPath(path)) mark(filter, segment)
}

/** Could a record with all these segments be in the block? */
export function mayHold (filter: Uint8Array, segments: string[]): boolean {
  return segments.every(segment => isMarked(filter, segment))
}

export function splitPath (path: string): string[] {
  return path.split('/').filter(segment => segment !== '')
}

/** The whole segments that every text from `from` to `to` begins with. */
export function commonSegments (from: string, to: string): string[] {
  let length = 0
  while (length < from.length && from[length] === to[length]) length++
  return splitPath(from.slice(0, from.lastIndexOf('/', length - 1) + 1))
}

function mark (filter: Uint8Array, segment: string): void {
  const hash = hashText(segment)
  for (let probe = 0; probe < probes; probe++) {
    const bit = position(hash, probe)
    filter[bit >>> 3] = (filter[bit >>> 3] as number) | (1 << (bit & 7))
  }
}

function isMarked (filter: Uint8Array, segment: string): boolean {
  const hash = hashText(segment)
  for (let probe = 0; probe < probes; probe++) {
    const bit = position(hash, probe)
    if (((filter[bit >>> 3] ?? 0xff) & (1 << (bit & 7))) === 0) return false
  }
  return true
}

/** Two hashes make as many as are wanted (Kirsch and Mitzenmacher). The second is odd, so that it reaches every bit. */
function position (hash: number, probe: number): number {
  return (hash + Math.imul(probe, (hash >>> 15) | 1)) >>> 0 & (bits - 1)
}

/** FNV-1a, with a last stir as its low bits alone are poor. Stored with the records: it must never change. */
function hashText (text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
