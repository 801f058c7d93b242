import fs from 'node:fs'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { Journal, type JournalOptions } from '../../src/trail/journal.ts'
import { JournalReader } from '../../src/trail/journal-reader.ts'
import { decodeLine, type Line } from '../../src/trail/lines.ts'
import type { SegmentFiles } from '../../src/trail/segment-writer.ts'
import { answered, entryMaker } from '../support/trail-entries.ts'
import { until } from '../support/trail-stores.ts'

const makeEntry = entryMaker()

/** A journal with a clock that the test moves, and file calls that the test may break. */
function openJournal (t: Test, folder: string, options: Partial<JournalOptions> = {}) {
  const clock = { ms: 0 }
  const states: Array<string | undefined> = []
  const files: SegmentFiles = { ...fs }
  const journal = new Journal({
    folder,
    onFailure: 'block',
    sync: false,
    monotonic: () => clock.ms,
    onWritten: () => {},
    onStateChange: failure => states.push(failure === undefined ? undefined : (failure as NodeJS.ErrnoException).code ?? failure.message),
    files,
    ...options
  })
  t.teardown(() => { journal.end(); journal.release() })
  return { journal, clock, states, files }
}

function failWith (code: string): () => never {
  return () => { throw Object.assign(new Error(code), { code }) }
}

function readAll (folder: string): Line[] {
  const reader = new JournalReader(folder)
  const lines = reader.list().flatMap(segment => reader.read(segment, 0).lines)
  reader.close()
  return lines.map(line => decodeLine(line) as Line)
}

const kinds = (folder: string) => readAll(folder).map(line => line?.kind)

function record (journal: Journal, entry = makeEntry()): Promise<Error | undefined> {
  return new Promise(resolve => journal.record(entry, resolve))
}

test('an intent is on the file before its request goes on', async t => {
  const folder = join(t.testdir(), 'journal')
  const { journal } = openJournal(t, folder)
  const entry = makeEntry({ path: '/v3/devices/ü"\\\n' })
  t.equal(await record(journal, entry), undefined)
  const [, intent] = readAll(folder)
  t.match(intent, { kind: 'intent', id: entry.id, intent: [entry.id, entry.started_at, 'request', 'mia', 'GET', '/v3/devices/ü"\\\n'] })
  t.ok(entry.recorded)
  t.equal(fs.statSync(folder).mode & 0o777, 0o700)
})

test('all lines of one turn are one write', async t => {
  const folder = join(t.testdir(), 'journal')
  const { journal, files } = openJournal(t, folder)
  let writes = 0
  files.writeSync = ((...args: Parameters<typeof fs.writeSync>) => { writes++; return fs.writeSync(...args) }) as typeof fs.writeSync
  const entries = Array.from({ length: 20 }, () => makeEntry())
  const waiting = entries.map(entry => record(journal, entry))
  journal.close(answered(makeEntry()))
  await Promise.all(waiting)
  t.equal(writes, 1)
  t.strictSame(kinds(folder), ['header', ...entries.map(() => 'intent'), 'full'])
})

test('an outcome comes alone after its intent, and with it if there was none', async t => {
  const folder = join(t.testdir(), 'journal')
  const { journal } = openJournal(t, folder)
  const entry = makeEntry()
  await record(journal, entry)
  journal.close(answered(entry, { notes: 'advice' }))
  journal.close(answered(makeEntry(), { outcome: 'refused' }))
  journal.amend(entry.id, { async_status: 200, async_latency_ms: 7 })
  journal.flush()
  t.strictSame(kinds(folder), ['header', 'intent', 'outcome', 'full', 'amendment'])
  t.match(readAll(folder)[2], { id: entry.id, outcome: ['answered', 200], notes: 'advice' })
  t.match(readAll(folder)[4], { id: entry.id, facts: [null, 200, 7] })
})

test('goes on after a short write', async t => {
  const folder = join(t.testdir(), 'journal')
  const { journal, files } = openJournal(t, folder)
  files.writeSync = ((fd: number, buffer: Buffer, offset: number, length: number, position: number) => fs.writeSync(fd, buffer, offset, Math.min(length, 7), position)) as typeof fs.writeSync
  t.equal(await record(journal), undefined)
  t.strictSame(kinds(folder), ['header', 'intent'])
})

for (const code of ['ENOSPC', 'EIO', 'EROFS']) {
  test(`refuses what it can't record (${code}), leaves no torn line, and recovers by itself`, async t => {
    const folder = join(t.testdir(), 'journal')
    const { journal, clock, states, files } = openJournal(t, folder)
    await record(journal)
    let room = 100
    files.writeSync = ((fd: number, buffer: Buffer, offset: number, length: number, position: number) => {
      if (room === 0) throw Object.assign(new Error(code), { code })
      const count = fs.writeSync(fd, buffer, offset, Math.min(room, length), position)
      room -= count
      return count
    }) as typeof fs.writeSync
    const entry = makeEntry()
    const error = await record(journal, entry)
    t.match(error, { type: 'trail_unavailable', statusCode: 503 })
    t.notOk(entry.recorded)
    t.strictSame(states, [code])
    t.match(journal.status(), { state: 'failing', error: code, unrecorded: 1 })
    // The refusal itself is kept in memory …
    journal.close(Object.assign(entry, { outcome: 'refused' as const, error_type: 'trail_unavailable' }))
    journal.flush()
    t.match(journal.status(), { backlog: 1, lost: 0 })
    // … and written when the disk is back.
    Object.assign(files, { writeSync: fs.writeSync })
    t.match(await record(journal), { type: 'trail_unavailable' }, 'too soon after the failure to try again')
    clock.ms += 150
    t.equal(await record(journal), undefined)
    t.strictSame(states, [code, undefined])
    t.match(journal.status(), { state: 'ok', backlog: 0 })
    t.strictSame(kinds(folder), ['header', 'intent', 'full', 'intent'])
  })
}

test('recovers without a request, too', async t => {
  const folder = join(t.testdir(), 'journal')
  const { journal, clock, states, files } = openJournal(t, folder)
  Object.assign(files, { writeSync: failWith('ENOSPC') })
  await record(journal)
  Object.assign(files, { writeSync: fs.writeSync })
  clock.ms += 150
  await until(() => states.length === 2, 3000)
  t.strictSame(states, ['ENOSPC', undefined])
})

test('a full disk isn\'t taken for a recovered one just because nothing was to be written', async t => {
  const folder = join(t.testdir(), 'journal')
  const { journal, clock, states, files } = openJournal(t, folder)
  await record(journal)
  Object.assign(files, { writeSync: failWith('ENOSPC') })
  await record(journal)
  let tries = 0
  Object.assign(files, { writeSync: () => { tries++; return failWith('ENOSPC')() } })
  clock.ms += 150
  await until(() => tries >= 1, 3000)
  t.strictSame(states, ['ENOSPC'])
})

test('begins a new segment when a torn line can\'t be cut off', async t => {
  const folder = join(t.testdir(), 'journal')
  const { journal, clock, files } = openJournal(t, folder)
  await record(journal)
  let first = true
  Object.assign(files, {
    ftruncateSync: failWith('EIO'),
    writeSync: (fd: number, buffer: Buffer, offset: number, length: number, position: number) => {
      if (!first) throw Object.assign(new Error('EIO'), { code: 'EIO' })
      first = false
      return fs.writeSync(fd, buffer, offset, 30, position)
    }
  })
  t.match(await record(journal), { type: 'trail_unavailable' })
  Object.assign(files, { writeSync: fs.writeSync })
  clock.ms += 150
  t.equal(await record(journal), undefined)
  t.strictSame(kinds(folder), ['header', 'intent', 'header', 'intent'])
})

test('with `continue` requests go on unrecorded, and are written later if they can be', async t => {
  const folder = join(t.testdir(), 'journal')
  const { journal, clock, files } = openJournal(t, folder, { onFailure: 'continue' })
  Object.assign(files, { writeSync: failWith('ENOSPC') })
  const entry = makeEntry()
  t.equal(await record(journal, entry), undefined)
  t.notOk(entry.recorded)
  t.match(journal.status(), { unrecorded: 1, backlog: 1 })
  Object.assign(files, { writeSync: fs.writeSync })
  clock.ms += 150
  journal.close(answered(entry))
  journal.flush()
  t.strictSame(kinds(folder), ['header', 'intent', 'full'])
})

test('the backlog is bounded, and what it can\'t hold is counted', async t => {
  const { journal, files } = openJournal(t, join(t.testdir(), 'journal'), { maxBacklogBytes: 2000 })
  Object.assign(files, { writeSync: failWith('ENOSPC') })
  for (let i = 0; i < 50; i++) journal.close(answered(makeEntry()))
  journal.flush()
  const { backlog, lost } = journal.status()
  t.ok(backlog > 0 && backlog < 20)
  t.equal(backlog + lost, 50)
})

test('starts on a folder that can\'t be written, and recovers', async t => {
  const root = t.testdir({ blocked: 'a file where the folder should be' })
  const folder = join(root, 'blocked')
  const { journal, clock, states } = openJournal(t, folder)
  t.strictSame(states, ['EEXIST'])
  t.match(await record(journal), { type: 'trail_unavailable' })
  fs.rmSync(folder)
  clock.ms += 150
  t.equal(await record(journal), undefined)
})

test('with `sync` nobody goes on before the disk has it, and many share one flush', async t => {
  const folder = join(t.testdir(), 'journal')
  const { journal, files } = openJournal(t, folder, { sync: true })
  const flushes: Array<(error: Error | null) => void> = []
  Object.assign(files, { fdatasync: (_fd: number, done: (error: Error | null) => void) => { flushes.push(done) } })
  let released = 0
  const add = () => record(journal).then(error => { if (error === undefined) released++; return error })
  const first = add()
  await until(() => flushes.length === 1)
  const more = [add(), add(), add()]
  journal.flush()
  t.equal(released, 0)
  flushes[0]?.(null)
  await first
  t.equal(released, 1)
  t.equal(flushes.length, 2, 'the three that came meanwhile share the second')
  flushes[1]?.(null)
  await Promise.all(more)
  t.equal(released, 4)
})

test('a failed flush refuses those who waited for it, and the segment isn\'t trusted again', async t => {
  const folder = join(t.testdir(), 'journal')
  const { journal, clock, files } = openJournal(t, folder, { sync: true })
  Object.assign(files, { fdatasync: (_fd: number, done: (error: Error | null) => void) => done(Object.assign(new Error('EIO'), { code: 'EIO' })) })
  t.match(await record(journal), { type: 'trail_unavailable' })
  Object.assign(files, { fdatasync: fs.fdatasync })
  clock.ms += 150
  t.equal(await record(journal), undefined)
  t.equal(new JournalReader(folder).list().length, 2)
})

test('rotates by size and by age', async t => {
  const folder = join(t.testdir(), 'journal')
  const { journal, clock } = openJournal(t, folder, { maxSegmentBytes: 450, maxSegmentAgeMs: 1000 })
  await record(journal)
  await record(journal)
  t.equal(journal.position?.segment, 1)
  await record(journal)
  t.equal(journal.position?.segment, 2)
  clock.ms += 1001
  await record(journal)
  t.equal(journal.position?.segment, 3)
})

test('goes on in the old segment when there is no descriptor for the next', async t => {
  const folder = join(t.testdir(), 'journal')
  const { journal, files } = openJournal(t, folder, { maxSegmentBytes: 450 })
  await record(journal)
  await record(journal)
  Object.assign(files, { openSync: failWith('EMFILE') })
  t.equal(await record(journal), undefined)
  t.equal(journal.position?.segment, 1)
  t.strictSame(kinds(folder), ['header', 'intent', 'intent', 'intent'])
})

test('notices that its folder was deleted, and begins anew', async t => {
  const folder = join(t.testdir(), 'journal')
  const { journal, clock } = openJournal(t, folder)
  await record(journal)
  fs.rmSync(folder, { recursive: true })
  clock.ms += 1500
  t.equal(await record(journal), undefined)
  t.strictSame(kinds(folder), ['header', 'intent'])
})

test('segments are numbered on from run to run, and the journal keeps its id', async t => {
  const folder = join(t.testdir(), 'journal')
  const first = openJournal(t, folder).journal
  await record(first)
  const { journalId } = first.position ?? {}
  first.end()
  first.release()
  const second = openJournal(t, folder).journal
  t.match(second.position, { journalId, firstSegment: 2, segment: 1 })
  await record(second)
  t.match(second.position, { segment: 2 })
})
