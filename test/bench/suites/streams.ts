import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Suite } from '../page.ts'
import { contestants, type Bench, type Contestant } from '../proxies/contestants.ts'
import { measureLoad, otherCore, residentMb, start, startContestant } from '../proxies/machine.ts'
import { median, table } from '../table.ts'

// A gigabyte down and up, ours and stock @fastify/http-proxy's in turn.

const mebibytes = Number(process.env['BENCH_STREAM_MIB'] ?? 1024)
const rounds = 5

interface Stream { rate: number, grownMb: number }

async function measure (contestant: Contestant, bench: Bench, words: string[]): Promise<Stream> {
  const running = await startContestant(contestant, bench)
  try {
    measureLoad(contestant, bench.token, 16, 2)
    const before = residentMb(running.pid)
    const child = spawn('taskset', ['-c', otherCore, 'curl', '-s', '-o', '/dev/null', '-w', '%{http_code} %{time_total}', '-H', `Authorization: Bearer ${bench.token}`, ...words, `http://127.0.0.1:${contestant.port}/v3/devices/big/stream.bin`])
    let most = before
    let text = ''
    child.stdout.on('data', chunk => { text += String(chunk) })
    const watch = setInterval(() => { most = Math.max(most, residentMb(running.pid)) }, 50)
    await once(child, 'close')
    clearInterval(watch)
    const [status, seconds] = text.split(' ')
    if (!status?.startsWith('2')) throw new Error(`${contestant.name} answered ${status}`)
    return { rate: mebibytes / Number(seconds), grownMb: most - before }
  } finally {
    await running.stop()
  }
}

async function compare (bench: Bench, words: string[]): Promise<Array<Array<string | number>>> {
  const both = contestants.slice(0, 2)
  const taken = both.map((): Stream[] => [])
  for (let round = 0; round < rounds; round++) {
    for (const [index, contestant] of both.entries()) taken[index]?.push(await measure(contestant, bench, words))
  }
  const rates = taken.map(streams => median(streams.map(({ rate }) => rate)))
  return both.map((contestant, index) => [contestant.name, (rates[index] ?? 0).toFixed(0), ((rates[0] ?? 0) / (rates[index] ?? 1)).toFixed(2), Math.max(...(taken[index] ?? []).map(({ grownMb }) => grownMb))])
}

export const suite: Suite = {
  title: 'Streams',
  async run (bench) {
    const file = join(bench.folder, 'stream.bin')
    writeFileSync(file, '')
    truncateSync(file, mebibytes * 1024 ** 2)
    const tokenTeam = join(bench.folder, 'team.json')
    const before = readFileSync(tokenTeam, 'utf8')
    writeFileSync(tokenTeam, before.replaceAll('GET /v3/devices/**', '/v3/devices/**'))
    const sink = start(['node', join(import.meta.dirname, '../proxies/upload-sink.ts'), String(bench.apiPort + 1)], otherCore, bench.folder, 'sink')
    try {
      const down = await compare(bench, [])
      const up = await compare(bench, ['-X', 'POST', '-H', 'Content-Type: application/octet-stream', '-H', 'Expect:', '-T', file])
      const head = ['system', 'MiB/s', 'ours ÷ it', 'memory grown by at most, MB']
      return `${mebibytes.toLocaleString('en')} MiB each way, ${rounds} times in turn, medians; scrubbing on.\n\nDown:\n\n${table(head, down)}\n\nUp:\n\n${table(head, up)}`
    } finally {
      await sink.stop()
      writeFileSync(tokenTeam, before)
      rmSync(file)
    }
  }
}
