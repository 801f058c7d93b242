/** A body on its way: give it chunks, pass on what comes back, and at the end what was still held. */
export interface BodyStream {
  /** Fewer or more bytes may come out than went in: the answer's Content-Length has to go. */
  readonly changesLength: boolean
  push (chunk: Buffer): Buffer
  end (): Buffer
}

/** One after the other; either may be missing. */
export function chainStreams (first: BodyStream | undefined, second: BodyStream | undefined): BodyStream | undefined {
  if (first === undefined || second === undefined) return first ?? second
  return {
    changesLength: first.changesLength || second.changesLength,
    push: chunk => second.push(first.push(chunk)),
    end: () => Buffer.concat([second.push(first.end()), second.end()])
  }
}
