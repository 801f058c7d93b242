/** What went wrong, from the API's or the proxy's error object. */
export interface Failure {
  code: number | undefined
  type: string
  message: string
  requestId: string
  /** Where to go on from. */
  after: string
}

const lineFeed = 0x0a

/**
 * Passes lines on but for the last one until the end: if that is an error, it isn't an item. Lines come in any pieces; one that is
 * longer than any error isn't waited for.
 */
export class LineWatch {
  #held: Buffer[] = []
  #heldBytes = 0
  items = 0

  /** What may be written by now. */
  push (chunk: Buffer): Buffer[] {
    if (chunk.length === 0) return []
    const end = chunk.subarray(0, -1).lastIndexOf(lineFeed)
    const ended = this.#endsLine()
    this.items += countLines(chunk)
    if (end < 0 && !ended && this.#heldBytes <= maxErrorBytes) {
      this.#held.push(chunk)
      this.#heldBytes += chunk.length
      return []
    }
    const ready = this.#held
    this.#heldBytes = chunk.length - end - 1
    this.#held = [chunk.subarray(end + 1)]
    return end < 0 ? ready : [...ready, chunk.subarray(0, end + 1)]
  }

  /** The last line: the failure it tells of, or what is left to write. */
  end (): { rest: Buffer, failure: Failure | undefined } {
    const rest = Buffer.concat(this.#held)
    const failure = rest.length > 0 && rest.length < maxErrorBytes ? readFailure(rest.toString('utf8')) : undefined
    if (failure === undefined) return { rest, failure }
    this.items--
    return { rest: Buffer.alloc(0), failure }
  }

  #endsLine (): boolean {
    return this.#held.at(-1)?.at(-1) === lineFeed
  }
}

const maxErrorBytes = 64 * 1024

function countLines (chunk: Buffer): number {
  let lines = 0
  for (let at = chunk.indexOf(lineFeed); at >= 0; at = chunk.indexOf(lineFeed, at + 1)) lines++
  return lines
}

/** Watches the end of a list that is one JSON text, where its failure would stand. */
export class TailWatch {
  #tail = Buffer.alloc(0)

  push (chunk: Buffer): Buffer[] {
    this.#tail = Buffer.concat([this.#tail, chunk.subarray(-maxErrorBytes)]).subarray(-maxErrorBytes)
    return [chunk]
  }

  /** Behind the items come `has_more`, `after` and, of a list that broke off, `error`. */
  end (): { rest: Buffer, failure: Failure | undefined } {
    const text = this.#tail.toString('utf8')
    const start = text.lastIndexOf('],"has_more":')
    const ending = start < 0 ? undefined : parse(`{${text.slice(start + 2)}`)
    return { rest: Buffer.alloc(0), failure: isObject(ending) ? readObject(ending['error']) : undefined }
  }
}

export function readFailure (text: string): Failure | undefined {
  return readObject(parse(text))
}

function readObject (body: unknown): Failure | undefined {
  if (!isObject(body) || body['object'] !== 'error') return undefined
  const text = (name: string): string => typeof body[name] === 'string' ? clean(body[name]) : ''
  return { code: typeof body['code'] === 'number' ? body['code'] : undefined, type: text('type'), message: text('message'), requestId: text('request_id'), after: text('after') }
}

/** Any answer of 400 and above, in one line. */
export function describeAnswer (status: number, body: string, requestId: string): string {
  const failure = readFailure(body) ?? { code: status, type: '', message: clean(body.slice(0, 500)).trim(), requestId: '', after: '' }
  return describeFailure({ ...failure, code: status, requestId: failure.requestId === '' ? requestId : failure.requestId })
}

export function describeFailure ({ code, type, message, requestId, after }: Failure): string {
  const head = [code, type].filter(part => part !== undefined && part !== '').join(' ')
  return [
    [head, message].filter(part => part !== '').join(': '),
    ...(requestId === '' ? [] : [`request id ${requestId} (izuma-proxy trail show ${requestId})`]),
    ...(after === '' ? [] : [`go on with --after ${after}`])
  ].join('; ')
}

/** A terminal obeys control characters, and an error's text comes from elsewhere. */
function clean (text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ')
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function parse (text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
