import type { Writable } from 'node:stream'
import { pino, type DestinationStream, type Logger } from 'pino'
import { createLineWriter } from './line-writer.ts'
import { describeError } from './log-errors.ts'

export interface LogOptions {
  level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'
  /** For people instead of programs. */
  pretty: boolean
  /** Colours in pretty lines; for a terminal. */
  color?: boolean
  stream: Writable
  /** The last look at a line: removes keys and tokens, wherever they hide. */
  redact: (line: string) => string
}

/** Lines of JSON (or for people), each one harmless to whoever reads it, on a terminal or in a collector. */
export async function createLogger ({ level, pretty, color = false, stream, redact }: LogOptions): Promise<Logger> {
  const write = createLineWriter(stream)
  const render = pretty ? await createPrettyRenderer(color) : escapeControls
  const destination: DestinationStream = { write: line => { write(render(redact(line))) } }
  return pino({
    level,
    base: null,
    timestamp: createTimestamp(),
    formatters: { level: label => ({ level: label }) },
    serializers: {
      err: describeError,
      error: describeError,
      req: ({ method, id }: { method?: string, id?: unknown }) => ({ method, id }),
      res: ({ statusCode }: { statusCode?: number }) => ({ status: statusCode })
    }
  }, destination)
}

/** RFC 3339 to the millisecond; written once a millisecond, as it is the dearest part of a line. */
function createTimestamp (): () => string {
  let atMs = 0
  let text = ''
  return () => {
    const nowMs = Date.now()
    if (nowMs !== atMs) text = `,"time":"${new Date(atMs = nowMs).toISOString()}"`
    return text
  }
}

/**
 * What JSON itself leaves as it is, yet moves a cursor, ends a line or turns writing around: DEL, the C1 controls
 * (0x9b begins an escape sequence), line and paragraph separators, bidirectional overrides, tags and the BOM.
 */
const unsafe = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\udb40[\udc00-\udc7f]/g

/** In a line of JSON: the same text to a parser, inert to a terminal. */
export function escapeControls (line: string): string {
  return line.replace(unsafe, toEscapes)
}

function toEscapes (text: string): string {
  return Array.from({ length: text.length }, (_, index) => '\\u' + text.charCodeAt(index).toString(16).padStart(4, '0')).join('')
}

// eslint-disable-next-line no-control-regex -- controls are what it is looking for
const control = /[\u0000-\u001f]/g
// eslint-disable-next-line no-control-regex -- as above
const controlButFrames = /(?!\n {4}at )[\u0000-\u001f]/g

/** pino-pretty prints strings as they are, so they lose their controls first; a stack keeps the breaks before its frames. */
async function createPrettyRenderer (colorize: boolean): Promise<(line: string) => string> {
  const { prettyFactory } = (await import('pino-pretty')).default
  const prettify = prettyFactory({ colorize, translateTime: 'SYS:HH:MM:ss.l', singleLine: true })
  return line => prettify(JSON.parse(line, (key, value: unknown) => typeof value === 'string' ? disarm(value, key === 'stack') : value))
}

function disarm (text: string, isStack: boolean): string {
  return text.replace(isStack ? controlButFrames : control, toEscapes).replace(unsafe, toEscapes)
}
