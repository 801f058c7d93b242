import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import type { Answer } from './answer.ts'
import type { MisbehaviourRule } from './misbehaviour.ts'
import type { Timers } from './timers.ts'

const compressors = { gzip: gzipSync, br: brotliCompressSync, deflate: deflateSync }

interface Sendable { bytes: Buffer | undefined, type: string | undefined }

export function send (response: ServerResponse, answer: Answer, requestId: string): void {
  if (response.destroyed) return
  const { bytes, type } = encode(answer)
  const headers: Record<string, string | string[] | number> = { 'X-Request-ID': requestId }
  if (type !== undefined) headers['Content-Type'] = type
  if (bytes !== undefined) headers['Content-Length'] = bytes.length
  response.writeHead(answer.status, { ...headers, ...answer.headers })
  if (answer.stream === undefined) response.end(bytes)
  else answer.stream.on('error', () => response.destroy()).pipe(response)
  if (answer.stream !== undefined) response.on('close', () => answer.stream?.destroy())
}

function encode ({ status, json, text, bytes, stream }: Answer): Sendable {
  if (json !== undefined) return { bytes: Buffer.from(JSON.stringify(json)), type: 'application/json' }
  if (text !== undefined) return { bytes: Buffer.from(text), type: 'text/plain;charset=UTF-8' }
  if (bytes !== undefined) return { bytes, type: bytes.length > 0 ? 'application/octet-stream' : undefined }
  const none = stream !== undefined || status === 204 || status === 304
  return { bytes: none ? undefined : Buffer.alloc(0), type: undefined }
}

/** The answer as a rule wants it: another status, body or header, compressed, in pieces. */
export function distort (answer: Answer, rule: MisbehaviourRule, timers: Timers): Answer {
  const changed = replace(answer, rule)
  const { bytes, type } = encode(changed)
  const headers: Record<string, string | string[]> = { ...type === undefined ? {} : { 'Content-Type': type }, ...changed.headers, ...rule.headers }
  if (changed.stream !== undefined || bytes === undefined) return { ...changed, headers }
  const body = rule.compress === undefined ? bytes : compressors[rule.compress](bytes)
  if (rule.compress !== undefined) headers['Content-Encoding'] = rule.compress
  if (rule.chunkBytes === undefined) return { status: changed.status, bytes: body, headers }
  return { status: changed.status, stream: Readable.from(slice(body, rule.chunkBytes, rule.chunkDelayMs ?? 0, timers)), headers }
}

function replace (answer: Answer, { status = answer.status, body, bodyBytes, chunkBytes }: MisbehaviourRule): Answer {
  const headers = answer.headers ?? {}
  if (bodyBytes !== undefined) {
    const length: Record<string, string> = chunkBytes === undefined ? { 'Content-Length': String(bodyBytes) } : {}
    return { status, stream: generate(bodyBytes, chunkBytes), headers: { 'Content-Type': 'application/octet-stream', ...length } }
  }
  if (body === undefined) return { ...answer, status }
  return typeof body === 'string' ? { status, text: body, headers } : { status, json: body, headers }
}

async function * slice (body: Buffer, size: number, delayMs: number, timers: Timers): AsyncGenerator<Buffer> {
  for (let start = 0; start < body.length; start += size) {
    if (start > 0) await timers.sleep(delayMs)
    yield body.subarray(start, start + size)
  }
}

const pattern = Buffer.from(Array.from({ length: 65_536 }, (_, index) => (index * 31 + (index >>> 8)) & 0xff))

/** Bytes `start` to `end` of the generated body: what a test compares with. */
export function patternBytes (start: number, end: number): Buffer {
  return Buffer.from(Array.from({ length: end - start }, (_, index) => pattern[(start + index) % pattern.length] as number))
}

/** Made as fast as it is read, never held whole. */
export function generate (length: number, chunkBytes = pattern.length): Readable {
  const size = Math.min(chunkBytes, pattern.length)
  let sent = 0
  return new Readable({
    read () {
      const start = sent % pattern.length
      const end = Math.min(pattern.length, start + Math.min(size, length - sent))
      sent += end - start
      this.push(end > start ? pattern.subarray(start, end) : null)
    }
  })
}
