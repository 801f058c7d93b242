/**
 * Follows the frames of one direction of a WebSocket (RFC 6455 §5.2) without holding or changing a byte: knows when the
 * stream stands between two frames, which is where a frame of our own may be put, and sees close codes go by.
 */
export class FrameScanner {
  /** Frames seen whole. */
  frames = 0
  /** The status code of a close frame, once one has gone by; 1005 if it had none. */
  closeCode: number | null = null
  #header: number[] = []
  #headerLength = 2
  #payloadLeft = 0
  #close: number[] | null = null
  #mask: number[] = []

  /** True between two frames. */
  get atBoundary (): boolean { return this.#header.length === 0 && this.#payloadLeft === 0 }

  push (chunk: Buffer): void {
    let offset = 0
    while (offset < chunk.length) {
      offset = this.#payloadLeft > 0 ? this.#skipPayload(chunk, offset) : this.#readHeader(chunk, offset)
    }
  }

  #readHeader (chunk: Buffer, offset: number): number {
    this.#header.push(chunk[offset] as number)
    if (this.#header.length === 2) this.#headerLength = headerLength(this.#header[1] as number)
    if (this.#header.length === this.#headerLength) this.#beginPayload()
    return offset + 1
  }

  #beginPayload (): void {
    const header = this.#header
    const isClose = ((header[0] as number) & 0x0f) === 0x8
    this.#mask = ((header[1] as number) & 0x80) !== 0 ? header.slice(-4) : []
    this.#payloadLeft = payloadLength(header)
    this.#close = isClose ? [] : null
    this.#header = []
    this.#headerLength = 2
    if (this.#payloadLeft === 0) this.#endFrame()
  }

  #skipPayload (chunk: Buffer, offset: number): number {
    const length = Math.min(this.#payloadLeft, chunk.length - offset)
    if (this.#close !== null && this.#close.length < 2) this.#close.push(...chunk.subarray(offset, offset + Math.min(length, 2 - this.#close.length)))
    this.#payloadLeft -= length
    if (this.#payloadLeft === 0) this.#endFrame()
    return offset + length
  }

  #endFrame (): void {
    this.frames++
    if (this.#close === null) return
    const [high, low] = this.#close.map((byte, index) => byte ^ (this.#mask[index] ?? 0))
    this.closeCode = high === undefined || low === undefined ? 1005 : high * 256 + low
    this.#close = null
  }
}

function headerLength (second: number): number {
  const short = second & 0x7f
  return 2 + (short === 127 ? 8 : short === 126 ? 2 : 0) + ((second & 0x80) !== 0 ? 4 : 0)
}

function payloadLength (header: number[]): number {
  const short = (header[1] as number) & 0x7f
  if (short < 126) return short
  const bytes = header.slice(2, short === 126 ? 4 : 10)
  return bytes.reduce((length, byte) => length * 256 + byte, 0)
}

const opcodes = { close: 0x8, ping: 0x9 } as const

/** A control frame with a payload of at most 125 bytes; `masked` as clients must send it. A mask of zeros is a mask. */
export function controlFrame (kind: keyof typeof opcodes, payload: Buffer, masked: boolean): Buffer {
  const head = [0x80 | opcodes[kind], (masked ? 0x80 : 0) | payload.length]
  return Buffer.concat([Buffer.from(masked ? [...head, 0, 0, 0, 0] : head), payload])
}

export function closeFrame (code: number, reason: string, masked: boolean): Buffer {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason))
  payload.writeUInt16BE(code, 0)
  payload.write(reason, 2)
  return controlFrame('close', payload, masked)
}
