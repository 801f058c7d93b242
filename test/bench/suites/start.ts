import { mkdirSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import type { Suite } from '../page.ts'
import { ourCommand, type Bench } from '../proxies/contestants.ts'
import { cpuMs, measureLoad, proxyCore, residentMb, start } from '../proxies/machine.ts'
import { median, table } from '../table.ts'

// From the start of the process to the first answer of the API through it, and what it takes of memory: idle, and after load.

const rounds = 9
const port = 19041
const idleMs = 15_000
/** It gives back what it took after a minute of nothing. */
const restMs = 75_000
const loadSeconds = 20

interface Start { ms: number, cpuMs: number }

function ask (token: string): Promise<number> {
  return new Promise(resolve => {
    request({ host: '127.0.0.1', port, path: '/v3/devices?limit=5', agent: false, headers: { authorization: `Bearer ${token}` } }, answer => {
      answer.resume().on('end', () => resolve(answer.statusCode ?? 0))
    }).on('error', () => resolve(0)).end()
  })
}

async function measureStart (bench: Bench, round: number): Promise<Start> {
  const folder = join(bench.folder, `start-${round}`)
  mkdirSync(folder)
  const begun = performance.now()
  const running = start(ourCommand(bench, port, { '--trail': `sqlite:${join(folder, 'trail.db')}` }), proxyCore, bench.folder, 'start')
  while (await ask(bench.token) !== 200) await new Promise(resolve => setTimeout(resolve, 2))
  const ms = performance.now() - begun
  const used = cpuMs(running.pid)
  await running.stop()
  rmSync(folder, { recursive: true })
  return { ms, cpuMs: used }
}

async function measureMemory (bench: Bench): Promise<{ idle: number, loaded: number, rested: number }> {
  const running = start(ourCommand(bench, port), proxyCore, bench.folder, 'memory')
  await new Promise(resolve => setTimeout(resolve, idleMs))
  const idle = residentMb(running.pid)
  measureLoad({ port }, bench.token, 64, loadSeconds)
  const loaded = residentMb(running.pid)
  await new Promise(resolve => setTimeout(resolve, restMs))
  const rested = residentMb(running.pid)
  await running.stop()
  return { idle, loaded, rested }
}

export const suite: Suite = {
  title: 'Start and memory',
  async run (bench) {
    const starts: Start[] = []
    for (let round = 0; round < rounds; round++) starts.push(await measureStart(bench, round))
    const { idle, loaded, rested } = await measureMemory(bench)
    const times = starts.map(({ ms }) => ms)
    return `Process start to the first proxied answer, ${rounds} times, the empty trail made anew each time; resident memory ${idleMs / 1000} s after a start after ${loadSeconds} s at full load over 64 connections, and ${restMs / 1000} s later.\n\n` +
      table(['first answer, ms (median)', 'least / most', 'CPU until then, ms', 'resident idle, MB', 'resident after load, MB', 'rested, MB'], [[median(times).toFixed(0), `${Math.min(...times).toFixed(0)} / ${Math.max(...times).toFixed(0)}`, median(starts.map(start => start.cpuMs)).toFixed(0), idle, loaded, rested]])
  }
}
