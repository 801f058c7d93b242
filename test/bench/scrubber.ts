import { randomBytes } from 'node:crypto'
import { Agent, createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createScrubber } from '../../src/access-key/scrubber.ts'
import { createUrlRewriter } from '../../src/access-key/body-urls.ts'
import { Redactor } from '../../src/access-key/redact.ts'
import { Secret } from '../../src/access-key/secret.ts'
import { makeKey } from '../support/synthetic-keys.ts'

/**
 * What looking into answers costs: `node test/bench/scrubber.ts`. A share is that of the CPU time of a whole exchange, measured
 * in the same run: node:http on both sides over loopback, which is about what a proxied request takes (without TLS, which
 * makes the share smaller still).
 */

const id = () => randomBytes(16).toString('hex')
const keys = [new Secret(makeKey()), new Secret(makeKey())]

function makeDevice (withUrls: boolean) {
  return {
    object: 'device',
    id: id(),
    account_id: id(),
    created_at: '2026-07-01T12:00:00.000Z',
    updated_at: '2026-07-01T12:00:00.000Z',
    etag: '2026-07-01T12:00:00.000Z',
    name: 'Thermostat in the second "meeting room"\n',
    endpoint_name: id(),
    state: 'registered',
    mechanism: 'connector',
    custom_attributes: { floor: '2', note: 'é' },
    ca_id: id(),
    device_key: Buffer.from(randomBytes(32)).toString('base64'),
    deployed_state: 'production',
    manifest: null,
    ...(withUrls && { manifest_url: `https://firmware-catalog.example/x%2Fy/${id()}?sig=${encodeURIComponent(randomBytes(32).toString('base64'))}`, report: `https://api.us-east-1.mbedcloud.com/v3/devices/${id()}` })
  }
}

function makeBody (length: number, withUrls: boolean): Buffer {
  const data = []
  while (JSON.stringify(data).length < length) data.push(makeDevice(withUrls))
  return Buffer.from(JSON.stringify({ object: 'list', limit: 50, has_more: false, data })).subarray(0, length)
}

/** Nanoseconds of CPU a call takes, the median of seven rounds. */
function measure (call: () => void, rounds: number): number {
  for (let count = 0; count < rounds; count++) call()
  const results = Array.from({ length: 7 }, () => {
    const start = process.cpuUsage()
    for (let count = 0; count < rounds; count++) call()
    const { user, system } = process.cpuUsage(start)
    return 1000 * (user + system) / rounds
  })
  return results.sort((a, b) => a - b)[3] as number
}

type Create = () => { push (chunk: Buffer): Buffer, end (): Buffer } | undefined

const transforms: Record<string, Create> = {
  'search for the key': () => createScrubber(keys),
  'rewriting of URLs': () => createUrlRewriter('https://api.us-east-1.mbedcloud.com', 'http://localhost:8080')
}

function cut (body: Buffer): Buffer[] {
  return Array.from({ length: Math.ceil(body.length / 16_384) }, (_, index) => body.subarray(index * 16_384, (index + 1) * 16_384))
}

function run (create: Create, chunks: Buffer[]): void {
  const transform = create()
  for (const chunk of chunks) transform?.push(chunk)
  transform?.end()
}

let answer: { chunks: Buffer[], create: Create } = { chunks: [], create: () => undefined }
const server = createServer((_, response) => {
  const transform = answer.create()
  for (const chunk of answer.chunks) response.write(transform === undefined ? chunk : transform.push(chunk))
  response.end(transform?.end())
})
server.keepAliveTimeout = 60_000
const agent = new Agent({ keepAlive: true, maxSockets: 1 })

function exchange (): Promise<void> {
  return new Promise((resolve, reject) => {
    get({ agent, port: (server.address() as AddressInfo).port }, response => { response.on('end', resolve).resume() }).on('error', reject)
  })
}

/** Microseconds of CPU an exchange takes. */
async function measureExchange (create: Create, chunks: Buffer[], rounds: number): Promise<number> {
  answer = { chunks, create }
  const start = process.cpuUsage()
  for (let count = 0; count < rounds; count++) await exchange()
  const { user, system } = process.cpuUsage(start)
  return (user + system) / rounds
}

/** Of exchanges with and without, by turns: the median of nine ratios. */
async function measureShare (create: Create, chunks: Buffer[], rounds: number): Promise<number> {
  const shares = []
  for (let round = 0; round < 10; round++) {
    const without = await measureExchange(() => undefined, chunks, rounds)
    const own = measure(() => run(create, chunks), rounds) / 1000
    if (round > 0) shares.push(100 * own / without)
  }
  return shares.sort((a, b) => a - b)[4] as number
}

await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
for (const [name, create] of Object.entries(transforms)) {
  for (const [kind, withUrls] of [['plain', false], ['with URLs and percent-encoding', true]] as const) {
    for (const length of [1024, 100 * 1024]) {
      const chunks = cut(makeBody(length, withUrls))
      const rounds = length > 10_000 ? 200 : 1000
      const ns = measure(() => run(create, chunks), rounds * 10)
      const share = await measureShare(create, chunks, rounds)
      console.log(`${name}, ${kind}, ${length / 1024} KiB: ${(ns / 1000).toFixed(2)} µs, ${(ns * 1024 / length).toFixed(0)} ns a KiB, ${share.toFixed(1)} % of an exchange`)
    }
  }
}
server.close()
agent.destroy()

const redactor = new Redactor()
for (const key of keys) redactor.add(key)
const line = JSON.stringify({ level: 'info', time: new Date().toISOString(), id: id(), method: 'GET', path: `/v3/devices/${id()}`, query: 'limit=50&order=ASC', status: 200, upstream_request_id: id(), duration_ms: 12.345, ttfb_ms: 11.2, bytes_in: 0, bytes_out: 1044, member: 'local', client_address: '127.0.0.1', client_agent: 'curl/7.88.1', outcome: 'answered', msg: 'request' })
console.log(`redaction of a log line of ${line.length} characters: ${measure(() => { redactor.redact(line) }, 50_000).toFixed(0)} ns`)
