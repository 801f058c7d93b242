/**
 * What slow clients do to everybody else: `node test/bench/slow-clients.ts` measures well-behaved requests alone, and again while
 * slowhttptest (Debian's package) holds 1,000 connections with slow headers and 1,000 with slow bodies; then 10,000 idle ones.
 * Takes about two minutes. The proxy runs in a process of its own.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { connect } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { makeAuthority } from '../support/certificates.ts'
import { startAlone, type LoneProxy } from '../support/lone-proxy.ts'

const connections = 1000
const perSecond = 100

interface Figures { requests: number, failed: number, p50Ms: number, p99Ms: number, proxyCpuMsPerSecond: number }

function ask (port: number, agent: Agent): Promise<number> {
  const start = performance.now()
  return new Promise((resolve, reject) => {
    request({ port, host: '127.0.0.1', path: '/v3/devices', agent }, answer => {
      answer.resume().on('end', () => { if (answer.statusCode === 200) resolve(performance.now() - start); else reject(new Error(`${answer.statusCode}`)) })
    }).on('error', reject).setTimeout(5000, () => reject(new Error('5 s'))).end()
  })
}

/** Well-behaved requests at an even rate, half of them on new connections. */
async function measure ({ port, pid }: LoneProxy, seconds: number): Promise<Figures> {
  const cpuMs = readCpuMs(pid)
  const start = performance.now()
  const agents = [new Agent({ keepAlive: true }), new Agent({ keepAlive: false })] as const
  const times: number[] = []
  let failed = 0
  const running: Array<Promise<void>> = []
  for (let i = 0; i < seconds * perSecond; i++) {
    running.push(ask(port, agents[i % 2 as 0 | 1]).then(ms => { times.push(ms) }, () => { failed++ }))
    await wait(1000 / perSecond)
  }
  await Promise.all(running)
  for (const agent of agents) agent.destroy()
  times.sort((a, b) => a - b)
  const at = (share: number) => Math.round((times[Math.floor(times.length * share)] ?? Number.NaN) * 100) / 100
  return { requests: times.length + failed, failed, p50Ms: at(0.5), p99Ms: at(0.99), proxyCpuMsPerSecond: Math.round((readCpuMs(pid) - cpuMs) / (performance.now() - start) * 1000) }
}

function attack (port: number, mode: '-H' | '-B', seconds: number): ChildProcess {
  const options = [mode, '-c', String(connections), '-r', '500', '-i', '3', '-l', String(seconds), '-p', '5', '-v', '0', '-u', `http://127.0.0.1:${port}/v3/devices`]
  return spawn('slowhttptest', options, { stdio: 'ignore' })
}

function countConnections (port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  return readFileSync('/proc/net/tcp', 'latin1').split('\n').filter(line => new RegExp(`^ *[0-9]+: 0100007F:${hex} [0-9A-F:]+ 01 `).test(line)).length
}

/** Until no slow connection is left, beside those of `measure`. */
async function untilGone (port: number, limitSeconds: number): Promise<void> {
  const start = performance.now()
  while (countConnections(port) > 50 && performance.now() - start < limitSeconds * 1000) await wait(250)
}

/** User and system time, all threads; a tick is 10 ms. */
function readCpuMs (pid: number): number {
  const [utime, stime] = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /, '').split(' ').slice(11, 13)
  return (Number(utime) + Number(stime)) * 10
}

async function holdIdle (port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  for (let i = 0; i < count; i++) {
    const socket = connect({ port, host: '127.0.0.1' }).on('error', () => {})
    sockets.push(socket)
    // One answered request each: from then on the keep-alive limit holds, not the one for silence.
    socket.resume().write('GET /_proxy/livez HTTP/1.1\r\nHost: localhost\r\n\r\n')
    if (i % 100 === 99) await wait(50)
  }
  const start = performance.now()
  while (countConnections(port) < count && performance.now() - start < 20_000) await wait(250)
  return sockets
}

function residentMiB (pid: number): number {
  return Math.round(Number(/VmRSS:\s+([0-9]+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024)
}

const authority = makeAuthority()
const api = createHttps(authority.issue(), (request, response) => { request.resume().on('end', () => { response.setHeader('Content-Type', 'application/json').end('{"object":"list"}') }) })
await new Promise<void>(resolve => api.listen(0, '127.0.0.1', resolve))
const folder = mkdtempSync(join(tmpdir(), 'izuma-proxy-slow-'))
const proxy = await startAlone({ folder, origin: `https://127.0.0.1:${(api.address() as AddressInfo).port}`, ca: authority.ca })
const print = (what: string, figures: object) => process.stdout.write(`${what.padEnd(34)}${JSON.stringify(figures)}\n`)

try {
  await measure(proxy, 3)
  const alone = await measure(proxy, 8)
  print('alone', alone)
  for (const mode of ['-H', '-B'] as const) {
    const attacker = attack(proxy.port, mode, mode === '-H' ? 25 : 55)
    await wait(3000)
    const held = countConnections(proxy.port)
    const figures = await measure(proxy, 8)
    print(mode === '-H' ? '1,000 slow headers' : '1,000 slow bodies', { ...figures, p99Ratio: Math.round(figures.p99Ms / alone.p99Ms * 100) / 100, held })
    const start = performance.now() - 11_000
    await untilGone(proxy.port, 45)
    print('  all closed after', { seconds: Math.round((performance.now() - start) / 100) / 10 })
    attacker.kill()
    await wait(1000)
  }
  const before = residentMiB(proxy.pid)
  const idle = await holdIdle(proxy.port, 10_000)
  print('10,000 idle connections', { ...await measure(proxy, 8), open: countConnections(proxy.port), residentMiB: { before, with: residentMiB(proxy.pid) } })
  for (const socket of idle) socket.destroy()
} finally {
  proxy.stop()
  api.close()
  api.closeAllConnections()
  rmSync(folder, { recursive: true, force: true })
}
