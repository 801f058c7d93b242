import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { get, request, Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { faultNames, startSandbox } from '../../src/sandbox/index.ts'
import { start, residentMb } from './proxies/machine.ts'
import { waitFor } from '../support/wait-for.ts'

// npm run soak [-- MINUTES=60]: mixed traffic with faults against the built proxy, and what it does to its memory, sockets and
// descriptors. Fails when resident memory grows by more than 1 MiB a minute after the warm-up, or something isn't given back.

const minutes = Number(process.argv[2] ?? 60)
const warmUpMinutes = Math.min(10, minutes / 3)
const port = 19091
const url = `http://127.0.0.1:${port}`

const folder = mkdtempSync(join(tmpdir(), 'izuma-proxy-soak-'))
const sandbox = await startSandbox({ devices: 2000, eventsPerSecond: 20, keepReceived: 0 })
for (const fault of faultNames) sandbox.misbehave({ path: '/v3/devices', probability: 0.002, fault })
sandbox.misbehave({ path: '/v3/devices', probability: 0.05, latencyMs: 300 })
writeFileSync(join(folder, 'ca.pem'), sandbox.caPem)
writeFileSync(join(folder, 'key'), sandbox.accessKey, { mode: 0o600 })
const proxy = start(['node', join(import.meta.dirname, '../../dist/main.js'), 'start', '--listen', `127.0.0.1:${port}`, '--api-host', sandbox.origin, '--ca-file', join(folder, 'ca.pem'),
  '--access-key-file', join(folder, 'key'), '--trail', `sqlite:${join(folder, 'trail.db')}`, '--log-level', 'error', '--log-pretty', 'false',
  // Full within the warm-up: by default it fills for an hour, which is no leak.
  '--channel-replay', '2MiB'], '0', folder, 'soak')

const agent = new Agent({ keepAlive: true, maxSockets: 32 })
const counts: Record<string, number> = {}

function count (what: string): void { counts[what] = (counts[what] ?? 0) + 1 }

function ask (path: string, abandonAfterMs?: number): Promise<void> {
  return new Promise(resolve => {
    const asked = get(url + path, { agent }, answer => {
      count(String(answer.statusCode))
      answer.resume().on('close', () => resolve())
    }).on('error', () => { count('error'); resolve() })
    if (abandonAfterMs !== undefined) setTimeout(() => asked.destroy(), abandonAfterMs)
  })
}

function upload (bytes: number): Promise<void> {
  return new Promise(resolve => {
    const asked = request(`${url}/v3/device-groups`, { method: 'POST', agent, headers: { 'content-type': 'application/json', 'content-length': bytes } }, answer => {
      count(String(answer.statusCode))
      answer.resume().on('close', () => resolve())
    }).on('error', () => { count('error'); resolve() })
    asked.end(Buffer.alloc(bytes, 0x20))
  })
}

function listen (forMs: number): Promise<void> {
  return new Promise(resolve => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v2/notification/websocket-connect`)
    socket.on('message', () => count('event')).on('error', () => {}).on('close', () => resolve())
    setTimeout(() => socket.terminate(), forMs)
  })
}

/** One of what users do, and of what goes wrong. */
async function step (number: number): Promise<void> {
  switch (number % 10) {
    case 0: return await ask('/v3/devices/nonsense')
    case 1: return await ask('/v3/devices?limit=1000')
    case 2: return await ask('/v3/devices?limit=100', 5)
    case 3: return await upload(20_000)
    case 4: return await ask('/_proxy/pages/v3/devices?limit=500&max_items=1000')
    case 5: return await ask('/_proxy/trail?limit=20')
    case 6: return await listen(200)
    case 7: return await ask('/_proxy/metrics')
    default: return await ask('/v3/devices?limit=10')
  }
}

function descriptors (): number { return readdirSync(`/proc/${proxy.pid}/fd`).length }

/** Least squares, per minute. */
function slope (samples: Array<{ minute: number, mb: number }>): number {
  const mean = (pick: (sample: { minute: number, mb: number }) => number) => samples.reduce((sum, sample) => sum + pick(sample), 0) / samples.length
  const [x, y] = [mean(({ minute }) => minute), mean(({ mb }) => mb)]
  return samples.reduce((sum, { minute, mb }) => sum + (minute - x) * (mb - y), 0) / samples.reduce((sum, { minute }) => sum + (minute - x) ** 2, 0)
}

await waitFor('the proxy', async () => { await ask('/v3/accounts/me'); return counts['200'] ?? 0 }, answered => answered > 0, 20_000)
await new Promise(resolve => setTimeout(resolve, 2000))
const before = descriptors()
const samples: Array<{ minute: number, mb: number }> = []
const begun = performance.now()
const elapsed = () => (performance.now() - begun) / 60_000
const workers = Array.from({ length: 8 }, async (_, worker) => {
  for (let number = worker; elapsed() < minutes; number += 8) {
    await step(number)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
})
const sampler = setInterval(() => {
  const mb = residentMb(proxy.pid)
  if (elapsed() > warmUpMinutes) samples.push({ minute: elapsed(), mb })
}, 5000)
const reporter = setInterval(() => console.error(`${elapsed().toFixed(1)} min: ${residentMb(proxy.pid)} MB, ${descriptors()} descriptors, ${JSON.stringify(counts)}`), 60_000)
await Promise.all(workers)
clearInterval(sampler)
clearInterval(reporter)
agent.destroy()
const perMinute = slope(samples)
const after = await waitFor('descriptors', descriptors, open => open <= before + 5, 90_000).catch(() => descriptors())
console.log(`${minutes} minutes, ${JSON.stringify(counts)}: memory ${perMinute.toFixed(2)} MB a minute after ${warmUpMinutes.toFixed(0)} minutes, descriptors ${before} before and ${after} after`)
await proxy.stop()
await sandbox.close()
rmSync(folder, { recursive: true, force: true })
if (!(perMinute <= 1) || after > before + 5) process.exitCode = 1
