import http from 'node:http'
import https from 'node:https'
import { readFileSync } from 'node:fs'
import { percentile } from './table.ts'

// node constant-rate.ts URL RATE SECONDS CONNECTIONS TOKEN [CA-FILE]: asks at a constant rate, whatever the answers take, and prints
// one line of JSON. A latency counts from when the request was due, so that a stall is seen by all who wait (no coordinated omission).

const [, , url = '', rate = '', seconds = '', connections = '', token = '', caFile] = process.argv
const library = url.startsWith('https:') ? https : http
const agent = new library.Agent({ keepAlive: true, maxSockets: Number(connections), ...(caFile !== undefined && { ca: readFileSync(caFile, 'utf8') }) })
const intervalMs = 1000 / Number(rate)
const total = Math.round(Number(rate) * Number(seconds))
const warmUp = Math.min(total / 5, 2 * Number(rate))
const latencies: number[] = []
let sent = 0
let done = 0
let failed = 0
const begun = performance.now()

function ask (dueMs: number, counts: boolean): void {
  const finish = (ok: boolean) => {
    if (counts) latencies.push(performance.now() - dueMs)
    if (!ok) failed++
    if (++done === total) report()
  }
  library.get(url, { agent, headers: { authorization: `Bearer ${token}` } }, answer => {
    answer.resume().on('end', () => finish(answer.statusCode === 200)).on('error', () => finish(false))
  }).on('error', () => finish(false))
}

function report (): void {
  const tookMs = performance.now() - begun
  console.log(JSON.stringify({ requests: total, failed, rate: total / tookMs * 1000, p50Ms: percentile(latencies, 0.5), p99Ms: percentile(latencies, 0.99) }))
  process.exit()
}

setInterval(() => {
  const due = Math.min(total, Math.floor((performance.now() - begun) / intervalMs))
  for (; sent < due; sent++) ask(begun + sent * intervalMs, sent >= warmUp)
}, 1)
