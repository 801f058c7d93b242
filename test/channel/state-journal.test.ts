import { spawn } from 'node:child_process'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { StateJournal } from '../../src/channel/state-journal.ts'

function makePath (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'state-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'sub', 'channel.journal')
}

t.test('keeps what was set, forgets what was deleted, in a file of the owner\'s', async t => {
  const path = makePath(t)
  const before = new StateJournal(path)
  before.set('a:1', { x: [1] })
  before.set('a:2', 'two')
  before.set('b:1', null)
  before.set('a:1', { x: [2] })
  before.delete('a:2')
  before.delete('never there')
  before.close()
  const after = new StateJournal(path)
  t.same(after.entries('a:'), [['a:1', { x: [2] }]])
  t.equal(after.get('b:1'), null)
  t.equal(after.size, 2)
  t.equal(statSync(path).mode & 0o777, 0o600)
  after.close()
})

t.test('reads over lines that a crash has torn', async t => {
  const path = makePath(t)
  const before = new StateJournal(path)
  before.set('a', 1)
  before.set('b', 2)
  before.close()
  appendFileSync(path, '["c",{"x":')
  const torn = new StateJournal(path)
  t.same(torn.entries(''), [['a', 1], ['b', 2]])
  torn.set('d', 4)
  torn.close()
  t.same(new StateJournal(path).entries(''), [['a', 1], ['b', 2], ['d', 4]])
})

t.test('reads over lines of any other kind', async t => {
  const path = makePath(t)
  new StateJournal(path).close()
  writeFileSync(path, '\0\0\0\n{}\n[1,2]\n[]\nnull\n["a",1]\n')
  t.same(new StateJournal(path).entries(''), [['a', 1]])
})

t.test('is written anew when it has grown', async t => {
  const path = makePath(t)
  const state = new StateJournal(path)
  for (let n = 0; n < 25_000; n++) state.set('counter', n)
  t.ok(statSync(path).size < 10_100 * 20, String(statSync(path).size))
  state.close()
  t.same(new StateJournal(path).entries(''), [['counter', 24_999]])
  t.equal(readFileSync(path, 'utf8').split('\n').length, 2, 'and at every start')
})

t.test('goes on in memory when it cannot be written, and says so', async t => {
  const path = makePath(t)
  const state = new StateJournal(path)
  state.set('a', 1)
  state.close()
  state.set('b', 2)
  t.ok(state.failure)
  t.equal(state.get('b'), 2)
})

t.test('loses nothing to kill -9', async t => {
  const path = makePath(t)
  const module = new URL('../../src/channel/state-journal.ts', import.meta.url).href
  const code = `
    const { StateJournal } = await import(${JSON.stringify(module)})
    const state = new StateJournal(${JSON.stringify(path)})
    for (let n = 0; ; n++) {
      state.set('id:' + n, { n })
      process.stdout.write(n + '\\n')
      if (n % 50 === 0) await new Promise(setImmediate)
    }`
  for (let round = 0; round < 3; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', chunk => {
      output += String(chunk)
      if (output.length > 5_000) child.kill('SIGKILL')
    })
    await new Promise(resolve => child.once('close', resolve))
    const acknowledged = output.split('\n').slice(0, -1).map(Number)
    const state = new StateJournal(path)
    t.ok(acknowledged.length > 100)
    t.same(acknowledged.filter(n => state.get(`id:${n}`) === undefined), [])
    state.close()
  }
})
