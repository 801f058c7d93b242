import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
import { startRelay } from '../../support/relay.ts'
import type { Suite } from '../page.ts'
import { ourCommand, type Bench } from '../proxies/contestants.ts'
import { measureLoad, proxyCore, start, type Running } from '../proxies/machine.ts'
import { median, table } from '../table.ts'
import { measureRate } from './latency.ts'

// What a user far from the API feels: a relay holds every byte back for 40 ms each way.

const oneWayMs = 40
/** Proxies, of which each has one first request, and one after the silence. */
const starts = 5
const silenceMs = Number(process.env['BENCH_SILENCE_MS'] ?? 150_000)
const port = 19051
const rate = Number(process.env['BENCH_WAN_RATE'] ?? 2500)

/** In a thread of its own: it must not wait for whoever measures. */
if (!isMainThread && workerData === 'relay') {
  const [{ target }] = await once(parentPort as NonNullable<typeof parentPort>, 'message') as [{ target: number }]
  const relay = await startRelay(target)
  Object.assign(relay.up, { latencyMs: oneWayMs })
  Object.assign(relay.down, { latencyMs: oneWayMs })
  parentPort?.postMessage({ port: relay.port })
}

/** Milliseconds that a kept connection straight to the API takes for one request: the relay's timers are late by some. */
function measureRoundTrip (url: string, caFile: string): number {
  const words = ['-s', '--cacert', caFile, '-w', '%{time_total}\n', ...Array.from({ length: 10 }, () => ['-o', '/dev/null', url]).flat()]
  const [, ...later] = spawnSync('curl', words, { encoding: 'utf8' }).stdout.trim().split('\n').map(seconds => Number(seconds) * 1000)
  return median(later)
}

/** Milliseconds of one request by a curl of its own. */
function curl (words: string[]): number {
  return Number(spawnSync('curl', ['-s', '-o', '/dev/null', '-w', '%{time_total}', ...words], { encoding: 'utf8' }).stdout) * 1000
}

function several (count: number, words: string[]): number {
  return median(Array.from({ length: count }, () => curl(words)))
}

export const suite: Suite = {
  title: 'Wide area',
  async run (bench: Bench) {
    const worker = new Worker(new URL(import.meta.url), { workerData: 'relay' })
    worker.postMessage({ target: bench.apiPort })
    const [{ port: relayPort }] = await once(worker, 'message') as [{ port: number }]
    const direct = `https://localhost:${relayPort}/v3/devices?limit=5`
    const straight = ['--cacert', join(bench.folder, 'ca.pem'), direct]
    const ask = (at: number) => curl(['-H', `Authorization: Bearer ${bench.token}`, `http://127.0.0.1:${at}/v3/devices?limit=5`])
    const begin = async (at: number, apiPort: number) => {
      const running = start(ourCommand(bench, at, { '--api-host': `https://localhost:${apiPort}` }), proxyCore, bench.folder, `wide-area-${at}`)
      await new Promise(resolve => setTimeout(resolve, 3000))
      return running
    }
    const ports = Array.from({ length: starts }, (_, index) => port + index)
    const near: Running[] = []
    const firsts: number[] = []
    for (const at of ports) {
      near.push(await begin(at, relayPort))
      firsts.push(ask(at))
    }
    const later = median(Array.from({ length: 9 }, () => ask(port)))
    const each = several(9, straight)
    for (const at of ports) ask(at)
    await new Promise(resolve => setTimeout(resolve, silenceMs))
    const afterSilence = median(ports.map(ask))
    const roundTripMs = measureRoundTrip(direct, join(bench.folder, 'ca.pem'))
    for (const running of near) await running.stop()
    await worker.terminate()
    // The relay takes more of the machine than the proxy at such a rate: here the API itself waits.
    const running = await begin(port, bench.apiPort)
    measureLoad({ port }, bench.token, 256, 6)
    const busy = measureRate(`http://127.0.0.1:${port}/v3/devices/far`, rate, bench.token, { connections: 512, forSeconds: 10 })
    await running.stop()
    const first = median(firsts)
    return `A relay holds every byte back for ${oneWayMs} ms; a request on a kept connection straight to the API takes ${roundTripMs.toFixed(1)} ms, which is the round trip here. The last row is of an API that answers after 80 ms. Medians of ${starts} proxies, of 9 requests where several can be had.\n\n` + table(['request', 'ms', 'round trips'], [
      ['the first after the start, connections opened ahead', first.toFixed(0), (first / roundTripMs).toFixed(2)],
      ['any later one', later.toFixed(0), (later / roundTripMs).toFixed(2)],
      [`after ${silenceMs / 1000} s of silence`, afterSilence.toFixed(0), (afterSilence / roundTripMs).toFixed(2)],
      [`curl straight to the API, a new connection each time: ×${(each / later).toFixed(1)}`, each.toFixed(0), (each / roundTripMs).toFixed(2)],
      [`at ${rate.toLocaleString('en')} req/s (${busy.rate.toFixed(0)} reached, ${busy.failed} failed): p50 / p99`, `${busy.p50Ms.toFixed(0)} / ${busy.p99Ms.toFixed(0)}`, `${(busy.p50Ms / roundTripMs).toFixed(2)} / ${(busy.p99Ms / roundTripMs).toFixed(2)}`]
    ])
  }
}
