import { spawn } from 'node:child_process'
import { createServer } from 'node:https'
import { Agent, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeAuthority } from '../support/certificates.ts'
import { makeKey } from '../support/synthetic-keys.ts'

/**
 * What the search for the key takes of the proxy's CPU: `node test/bench/scrubber-share.ts`. The whole proxy as a process of its
 * own answers the same bodies by turns as JSON, which is searched, and as application/octet-stream, which isn't.
 */
const folder = mkdtempSync(join(tmpdir(), 'izuma-proxy-bench-'))
const authority = makeAuthority()
const item = JSON.stringify({ object: 'device', id: '0161991d63150000000000010010cbd8', state: 'registered', created_at: '2026-07-01T12:00:00.000Z', name: 'Thermostat "2"\n', device_key: 'kX3v/0bYwq+Zr1t9PpLmNo7u5sQ2dE8f' })
const bodies: Record<string, Buffer> = { '1 KiB': Buffer.from(item.repeat(6)).subarray(0, 1024), '100 KiB': Buffer.from(item.repeat(600)).subarray(0, 102_400) }

const api = createServer(authority.issue(), (request, response) => {
  const [, kind = '', size = ''] = decodeURI(request.url ?? '').split('/')
  const body = bodies[size] ?? Buffer.alloc(0)
  response.writeHead(200, { 'Content-Type': kind === 'json' ? 'application/json' : 'application/octet-stream', 'Content-Length': body.length }).end(body)
})
await new Promise<void>(resolve => { api.listen(0, '127.0.0.1', resolve) })
writeFileSync(join(folder, 'key'), makeKey(), { mode: 0o600 })
writeFileSync(join(folder, 'ca.pem'), authority.ca)

const proxy = spawn(process.execPath, [
  'src/main.ts', 'start', '--listen', '127.0.0.1:0', '--api-host', `https://127.0.0.1:${(api.address() as AddressInfo).port}`, '--ca-file', join(folder, 'ca.pem'),
  '--access-key-file', join(folder, 'key'), '--trail', `sqlite:${join(folder, 'trail.db')}`, '--log-level', 'info', '--log-pretty', 'false'
], { stdio: ['ignore', 'pipe', 'inherit'], cwd: join(import.meta.dirname, '../..') })
const port = await new Promise<number>(resolve => {
  let text = ''
  proxy.stdout.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-10_000)
    const url = /"url":"http:\/\/127\.0\.0\.1:(\d+)"/.exec(text)?.[1]
    if (url !== undefined) resolve(Number(url))
  })
})

const agent = new Agent({ keepAlive: true, maxSockets: 4 })
const ask = (path: string) => new Promise<void>((resolve, reject) => {
  get({ agent, port, path: encodeURI(path) }, response => { response.on('end', resolve).resume() }).on('error', reject)
})

/** Nanoseconds that the proxy's main thread has run. */
function readCpuNs (): number {
  return Number(readFileSync(`/proc/${proxy.pid}/schedstat`, 'utf8').split(' ')[0])
}

/** Microseconds of CPU a request. */
async function measure (path: string, requests: number): Promise<number> {
  const before = readCpuNs()
  await Promise.all(Array.from({ length: 4 }, async () => { for (let count = 0; count < requests / 4; count++) await ask(path) }))
  return (readCpuNs() - before) / 1000 / requests
}

const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] as number

// Many short rounds by turns: the machine's moods then fall on both alike.
for (const size of Object.keys(bodies)) {
  const requests = size === '1 KiB' ? 200 : 60
  for (let warmUp = 0; warmUp < 20; warmUp++) await measure(`/${warmUp % 2 === 0 ? 'json' : 'binary'}/${size}`, requests)
  const rounds = []
  for (let round = 0; round < 81; round++) {
    const isFirst = round % 2 === 0
    const first = await measure(`/${isFirst ? 'json' : 'binary'}/${size}`, requests)
    const second = await measure(`/${isFirst ? 'binary' : 'json'}/${size}`, requests)
    rounds.push(isFirst ? { searched: first, passed: second } : { searched: second, passed: first })
  }
  const ratio = median(rounds.map(({ searched, passed }) => searched / passed))
  console.log(`${size}: ${median(rounds.map(round => round.searched)).toFixed(0)} µs of CPU searched, ${median(rounds.map(round => round.passed)).toFixed(0)} µs not; median of the ratios ${ratio.toFixed(3)}`)
}
agent.destroy()
proxy.kill()
await new Promise(resolve => proxy.once('exit', resolve))
api.close()
rmSync(folder, { recursive: true, force: true })
