import fc from 'fast-check'

/** The bytes of a text, cut anywhere: into single bytes, a few pieces, or not at all. */
export function anyCuts (text: fc.Arbitrary<string>): fc.Arbitrary<Buffer[]> {
  return fc.tuple(text, fc.oneof(fc.constant('bytes' as const), fc.array(fc.nat({ max: 1_000_000 }), { maxLength: 8 })))
    .map(([whole, cuts]) => cut(Buffer.from(whole), cuts))
}

export function cut (bytes: Buffer, cuts: 'bytes' | number[]): Buffer[] {
  if (cuts === 'bytes') return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))
  const places = [0, ...cuts.map(place => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end))
}

/** What a stream makes of the chunks, as one text. */
export function passThrough (stream: { push (chunk: Buffer): Buffer, end (): Buffer }, chunks: Buffer[]): string {
  const out = chunks.map(chunk => Buffer.from(stream.push(chunk)))
  return Buffer.concat([...out, stream.end()]).toString()
}
