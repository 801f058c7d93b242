import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import t, { type Test } from 'tap'
import { startApi } from '../support/api-server.ts'
import { startProcess } from '../support/process.ts'
import { makeAccessKey } from '../support/proxy.ts'

// Bodies of any size with bounded memory, whose reader is slower than their writer. The long way, half an hour:
// STREAM_MIB=1024 STREAM_RATE_MIB=1

const mib = 1024 * 1024
const sizeMib = Number(process.env['STREAM_MIB'] ?? 96)
/** What the reader takes in a second. */
const rateMib = Number(process.env['STREAM_RATE_MIB'] ?? 64)
const timeout = 60_000 + 3 * 1000 * sizeMib / rateMib
const block = randomBytes(mib)

function * blocks (count: number): Generator<Buffer> {
  for (let index = 0; index < count; index++) yield block
}

const digest = createHash('sha256')
for (const chunk of blocks(sizeMib)) digest.update(chunk)
const wanted = digest.digest('hex')

async function start (t: Test, answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const folder = mkdtempSync(join(tmpdir(), 'izuma-proxy-streams-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const api = await startApi(t, (incoming, response) => {
    if (incoming.url === '/warm-up') incoming.resume().once('end', () => response.end(block.subarray(0, 65536)))
    else answer(incoming, response)
  })
  // Node's own limit of five minutes on a whole request is the test server's, not the proxy's.
  api.server.requestTimeout = 0
  writeFileSync(join(folder, 'ca.pem'), api.ca)
  writeFileSync(join(folder, 'key'), makeAccessKey(), { mode: 0o600 })
  const proxy = await startProcess(t, ['--listen', '127.0.0.1:0', '--api-host', api.origin, '--ca-file', join(folder, 'ca.pem'), '--access-key-file', join(folder, 'key'), '--trail', `sqlite:${join(folder, 'trail.db')}`], { cwd: folder })
  await warmUp(proxy.url)
  return { api, proxy, residentBytes: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${proxy.pid}/status`, 'utf8'))?.[1]) * 1024 }
}

/** Code that is compiled and connections that are open are no cost of a stream. */
async function warmUp (url: string): Promise<void> {
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 20 }, async () => {
      const { asked, answered } = open(url, '/warm-up', { method: 'POST', headers: { 'Content-Length': 65536 } })
      asked.end(block.subarray(0, 65536))
      await hashOf(await answered as AsyncIterable<Buffer>)
    }))
  }
}

function open (url: string, path: string, options: object = {}) {
  const asked = request(url + path, { agent: false, ...options })
  const answered = new Promise<IncomingMessage>((resolve, reject) => asked.once('response', resolve).once('error', reject))
  return { asked, answered }
}

async function readText (stream: AsyncIterable<Buffer>): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += chunk.toString('utf8')
  return text
}

async function hashOf (stream: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of stream) hash.update(chunk)
  return hash.digest('hex')
}

/** Takes no more than `rateMib` a second. */
async function * slowly (stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const startedAt = performance.now()
  let taken = 0
  for await (const chunk of stream) {
    yield chunk
    taken += chunk.length
    const aheadMs = taken / (rateMib * mib) * 1000 - (performance.now() - startedAt)
    if (aheadMs > 10) await new Promise(resolve => setTimeout(resolve, aheadMs))
  }
}

t.test(`${sizeMib} MiB down to a reader of ${rateMib} MiB/s: equal digests, the first byte before the last is sent, bounded memory`, { timeout }, async t => {
  let sent = 0
  const { proxy, residentBytes } = await start(t, async (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': sizeMib * mib })
    await pipeline(Readable.from((function * () { for (const chunk of blocks(sizeMib)) { sent++; yield chunk } })()), response).catch(() => {})
  })
  const before = residentBytes()
  const { asked, answered } = open(proxy.url, '/download')
  asked.end()
  const answer = await answered
  let peak = 0
  const hash = createHash('sha256')
  let first = true
  for await (const chunk of slowly(answer)) {
    if (first) t.ok(sent < sizeMib, `the first byte came after ${sent} MiB were taken from the API`)
    first = false
    hash.update(chunk)
    peak = Math.max(peak, residentBytes())
  }
  t.equal(hash.digest('hex'), wanted)
  t.comment(`memory grew by ${Math.round((peak - before) / mib)} MiB`)
  t.ok(peak - before < 64 * mib, `memory grew by ${Math.round((peak - before) / mib)} MiB`)
})

t.test(`${sizeMib} MiB up to a reader of ${rateMib} MiB/s: equal digests, the length kept, bounded memory`, { timeout }, async t => {
  let firstAt = 0
  const { proxy, residentBytes } = await start(t, async (incoming, response) => {
    incoming.once('data', () => { firstAt = performance.now() })
    const length = incoming.headers['content-length']
    response.end(JSON.stringify({ digest: await hashOf(slowly(incoming)), length }))
  })
  const before = residentBytes()
  const { asked, answered } = open(proxy.url, '/upload', { method: 'POST', headers: { 'Content-Length': sizeMib * mib } })
  let peak = 0
  const watch = setInterval(() => { peak = Math.max(peak, residentBytes()) }, 100)
  await pipeline(Readable.from(blocks(sizeMib)), asked)
  const sentAt = performance.now()
  const text = await readText(await answered)
  clearInterval(watch)
  t.same(JSON.parse(text), { digest: wanted, length: String(sizeMib * mib) })
  t.ok(firstAt < sentAt, 'forwarded before the last byte was read')
  const grown = Math.max(peak, residentBytes()) - before
  t.comment(`memory grew by ${Math.round(grown / mib)} MiB`)
  t.ok(grown < 64 * mib, `memory grew by ${Math.round(grown / mib)} MiB`)
})

t.test('twenty readers that stall hold the API back instead of filling memory', { timeout }, async t => {
  let taken = 0
  const { proxy, residentBytes } = await start(t, (incoming, response) => {
    if (incoming.url === '/eight') return void response.end(Buffer.alloc(8 * mib))
    response.writeHead(200, { 'Content-Type': 'application/octet-stream' })
    const more = () => {
      let flowing = true
      while (flowing) {
        flowing = response.write(block)
        taken++
      }
    }
    response.on('drain', more)
    more()
  })
  // Twenty that read, first: what passes through is garbage for a while, whether the readers stall afterwards or not.
  await Promise.all(Array.from({ length: 20 }, async () => {
    const { asked, answered } = open(proxy.url, '/eight')
    asked.end()
    await hashOf(await answered as AsyncIterable<Buffer>)
  }))
  const before = residentBytes()
  const readers = await Promise.all(Array.from({ length: 20 }, async () => {
    const { asked, answered } = open(proxy.url, '/endless')
    asked.end()
    return (await answered).pause()
  }))
  await new Promise(resolve => setTimeout(resolve, 1500))
  const grown = residentBytes() - before
  t.ok(grown < 40 * mib, `memory grew by ${Math.round(grown / mib)} MiB for 20 stalled readers`)
  t.ok(taken < 400, `${taken} MiB were taken from the API`)
  for (const reader of readers) reader.destroy()
})
