import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import { join } from 'node:path'
import Fastify from 'fastify'
import { loadSettings } from '../../src/config/load.ts'
import trail from '../../src/trail/plugin.ts'

/**
 * What happens when a real disk is full or read-only. Runs in a mount namespace of its own (`unshare --mount`), where it
 * may mount what it likes; prints what it saw as JSON.
 *
 *   trail-disk.ts full|readonly block|continue FOLDER
 */
const [scenario = '', onFailure = '', folder = ''] = process.argv.slice(2)
const mount = (...words: string[]) => execFileSync('mount', words, { stdio: ['ignore', 'ignore', 'inherit'] })

mount('--make-rprivate', '/')
mount('-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder)
if (scenario === 'readonly') mount('-o', 'remount,ro', folder)

const logs: string[] = []
const app = Fastify({ logger: { stream: { write: (line: string) => { logs.push((JSON.parse(line) as { msg: string }).msg) } } } })
const settings = loadSettings({ flags: { '--trail': `sqlite:${join(folder, 'trail.db')}`, '--trail-on-failure': onFailure }, environment: {}, dotenv: {} })
let report = () => ({})
app.decorate('health', { register: (_name: string, given: () => object) => { report = given }, onDrain: () => () => {} } as never)
await app.register(trail, { settings, redact: text => text })
let forwarded = 0
app.get('/v3/*', (request, reply) => {
  reply.hijack()
  app.trail.record(request.entry, error => {
    if (error === undefined) forwarded++
    else Object.assign(request.entry, { outcome: 'refused', error_type: 'trail_unavailable' })
    if (error === undefined) Object.assign(request.entry, { attempts: 1, outcome: 'answered', status: 200 })
    reply.raw.writeHead(error === undefined ? 200 : 503).end('x')
  })
})
const url = await app.listen({ port: 0, host: '127.0.0.1' })
const ask = async (path = '/v3/x'): Promise<number> => {
  const answer = await fetch(url + path)
  await answer.text()
  return answer.status
}
const pause = (ms: number) => new Promise(resolve => { setTimeout(resolve, ms) })

if (scenario === 'full') {
  if (await ask() !== 200) throw new Error('not ready')
  await pause(300) // the store is made and filled by then
  fill()
}

/** To the last byte, page by page. */
function fill (): void {
  const fd = fs.openSync(join(folder, 'filler'), 'w')
  try {
    for (;;) fs.writeSync(fd, Buffer.alloc(512, 1))
  } catch {
    fs.closeSync(fd)
  }
}

// A journal writes into the page it has: until that is full nothing fails, and nothing has to.
const during: number[] = []
const forwardedBefore = forwarded
let failedAt = -1
for (let i = 0; i < 60; i++) {
  during.push(await ask(`/v3/during-${'x'.repeat(200)}`))
  const health = report() as { details: { journal: { state: string } } }
  if (failedAt < 0 && health.details.journal.state === 'failing') failedAt = i
}
const healthDuring = report()

const freedAt = performance.now()
if (scenario === 'full') fs.rmSync(join(folder, 'filler'))
else mount('-o', 'remount,rw', folder)
const isWell = () => (report() as { details: { journal: { state: string } } }).details.journal.state === 'ok'
while (!isWell() && performance.now() - freedAt < 10_000) await pause(50)
const recoveredAfterMs = performance.now() - freedAt
const after = await ask()
const storedBy = performance.now() + 5000
const { DatabaseSync } = await import('node:sqlite')
let refusedRows = -1
let rows = -1
while (performance.now() < storedBy) {
  await pause(100)
  try {
    const store = new DatabaseSync(join(folder, 'trail.db'), { readOnly: true })
    rows = (store.prepare('SELECT count(*) AS n FROM trail').get() as { n: number }).n
    refusedRows = (store.prepare("SELECT count(*) AS n FROM trail WHERE outcome = 'refused'").get() as { n: number }).n
    store.close()
    if (rows >= forwarded + during.filter(status => status === 503).length) break
  } catch {
    // Not made yet.
  }
}
await app.close()
console.log(JSON.stringify({ during, failedAt, forwardedDuring: forwarded - forwardedBefore - (after === 200 ? 1 : 0), healthDuring, recoveredAfterMs, after, forwarded, rows, refusedRows, logs: logs.filter(line => line.startsWith('trail:')) }))
