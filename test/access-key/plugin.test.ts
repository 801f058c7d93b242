import { existsSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { Redactor } from '../../src/access-key/redact.ts'
import { buildKeyApp, makeFolder, writeKeyFile } from '../support/key-app.ts'
import { findWindows } from '../support/leaks.ts'
import { makeKey } from '../support/synthetic-keys.ts'
import { waitFor } from '../support/wait-for.ts'

/** A change is taken up within a second, whatever the machine is doing besides. */
const aSecond = 1000

test('has the key of the file when the app is ready, and says so by its fingerprint', async t => {
  const key = makeKey()
  const { app, report, text, lines } = await buildKeyApp(t, { IZUMA_ACCESS_KEY_FILE: writeKeyFile(join(makeFolder(t), 'key'), key + '\n') })
  const current = app.accessKey.current()
  t.equal(current?.reveal(), key)
  t.match(await report(), { state: 'ok', ready: true, details: { source: 'file', fingerprint: current?.fingerprint, age_seconds: 0, proven: false } })
  t.match(lines(), [{ msg: 'access key read', source: 'file', fingerprint: current?.fingerprint }])
  t.same(findWindows(text() + JSON.stringify(await report()), key.slice(79)), [])
})

test('without a key it is not ready, and recovers by itself when the file comes', async t => {
  const file = join(makeFolder(t), 'key')
  const { app, report, until, lines } = await buildKeyApp(t, { IZUMA_ACCESS_KEY_FILE: file })
  t.equal(app.accessKey.current(), undefined)
  t.same(app.accessKey.known(), [])
  t.match(await report(), { state: 'failed', ready: false, details: { fingerprint: null, reason: /does not exist/, next_step: /put the key there/ } })
  const heard: unknown[] = []
  app.accessKey.onChange(key => heard.push(key?.reveal()))
  const key = makeKey()
  writeKeyFile(file, key)
  t.ok(await until(key) < aSecond)
  t.match(await report(), { state: 'ok', ready: true })
  t.same(heard, [key])
  t.match(lines()[0], { level: 50, reason: new RegExp(`^${file} does not exist: put the key there`) })
})

test('takes up a changed key within a second, and keeps the old one at hand until an answer proves the new one', async t => {
  const [first, second, third] = [makeKey(), makeKey(), makeKey()]
  const file = writeKeyFile(join(makeFolder(t), 'key'), first)
  const redactor = new Redactor()
  const { app, report, until, lines } = await buildKeyApp(t, { IZUMA_ACCESS_KEY_FILE: file }, { redactor })
  const { accessKey } = app
  accessKey.reportAnswer(accessKey.current() as never, 200)
  t.match(await report(), { details: { proven: true } })

  writeKeyFile(file + '.new', second)
  renameSync(file + '.new', file)
  t.ok(await until(second) < aSecond)
  const refused = accessKey.current() as never
  accessKey.reportAnswer(refused, 401)
  t.equal(accessKey.current()?.reveal(), first, 'the old one is in use again at once')
  t.match(await report(), { state: 'degraded', ready: true, details: { proven: true, rejected_fingerprint: /^sha256:/, next_step: /see in the portal/ } })
  t.same(accessKey.known().map(key => key.reveal()), [first, second], 'both are looked for in answers')

  writeKeyFile(file, third)
  t.ok(await until(third) < aSecond)
  accessKey.reportAnswer(accessKey.current() as never, 204)
  t.match(await report(), { state: 'ok', details: { proven: true } })
  t.same(lines().map(line => line['msg']), ['access key read', 'the API accepts the access key', 'access key read', 'the API refuses the new access key; the old one is used again', 'access key read', 'the API accepts the access key'])
  for (const key of [first, second, third]) t.equal(redactor.redact(key.slice(79)), '[access key removed]')
})

test('goes on with the key it has when the file is gone, empty, open to others or nonsense, and says why', async t => {
  const [key, next] = [makeKey(), makeKey()]
  const file = writeKeyFile(join(makeFolder(t), 'key'), key)
  const { app, report, until, lines } = await buildKeyApp(t, { IZUMA_ACCESS_KEY_FILE: file })
  const spoil: [() => void, RegExp][] = [
    [() => rmSync(file), /does not exist/],
    [() => { writeKeyFile(file, '') }, /is empty/],
    [() => { writeKeyFile(file, next, 0o640) }, /may be used by others \(mode 0640\)/],
    [() => { writeKeyFile(file, 'two words') }, /more than one word/]
  ]
  for (const [change, reason] of spoil) {
    change()
    const { state, ready } = await waitFor('the reason', report, ({ details }) => reason.test(String(details?.['reason'])))
    t.match({ state, ready, key: app.accessKey.current()?.reveal() }, { state: 'degraded', ready: true, key })
  }
  writeKeyFile(file, next)
  await until(next)
  t.match(await report(), { state: 'ok' })
  t.equal(lines().filter(line => line['msg'] === 'the access key cannot be read').length, spoil.length, 'each reason is logged once')
})

test('reads the file again on reload, also a key that was refused before', async t => {
  const [first, second] = [makeKey(), makeKey()]
  const file = writeKeyFile(join(makeFolder(t), 'key'), first)
  const { app: { accessKey }, until } = await buildKeyApp(t, { IZUMA_ACCESS_KEY_FILE: file })
  accessKey.reportAnswer(accessKey.current() as never, 200)
  writeKeyFile(file, second)
  await until(second)
  accessKey.reportAnswer(accessKey.current() as never, 401)
  t.equal(accessKey.current()?.reveal(), first)
  accessKey.reload()
  await until(second)
})

test('takes the key from the environment with a warning that names the risk', async t => {
  const key = makeKey()
  const { app, lines, report } = await buildKeyApp(t, { IZUMA_ACCESS_KEY: key })
  t.equal(app.accessKey.current()?.reveal(), key)
  t.match(lines()[0], { level: 40, msg: /other processes of this user.*IZUMA_ACCESS_KEY_FILE/ })
  t.match(await report(), { state: 'ok', details: { source: 'environment' } })
})

test('starts without any source and says how to name one', async t => {
  const { app, report } = await buildKeyApp(t, {})
  t.equal(app.accessKey.current(), undefined)
  t.match(await report(), { state: 'failed', ready: false, details: { source: 'none', next_step: /IZUMA_ACCESS_KEY_FILE/ } })
})

test('runs the command at start, again on reload and once when the API begins to refuse the key', async t => {
  const folder = makeFolder(t)
  const [first, second, third] = [makeKey(), makeKey(), makeKey()]
  const file = writeKeyFile(join(folder, 'key'), first)
  const runs = join(folder, 'runs')
  const { app: { accessKey }, until } = await buildKeyApp(t, { IZUMA_ACCESS_KEY_COMMAND: `echo run >> ${runs}; cat ${file}`, PATH: '/usr/bin:/bin' })
  const countRuns = async () => (await import('node:fs/promises')).readFile(runs, 'utf8').then(text => text.split('\n').length - 1)
  t.equal(accessKey.current()?.reveal(), first)
  t.equal(await countRuns(), 1)
  accessKey.reportAnswer(accessKey.current() as never, 200)
  t.equal(await countRuns(), 1)

  writeKeyFile(file, second)
  accessKey.reload()
  await until(second)
  t.equal(await countRuns(), 2)
  accessKey.reportAnswer(accessKey.current() as never, 200)

  writeKeyFile(file, third)
  const refused = accessKey.current() as never
  for (let answer = 0; answer < 20; answer++) accessKey.reportAnswer(refused, 401)
  await until(third)
  t.equal(await countRuns(), 3, 'twenty refusals are one reason to ask')
})

test('runs the command at most once at a time, and once more for whoever asked meanwhile', async t => {
  const folder = makeFolder(t)
  const key = writeKeyFile(join(folder, 'key'), makeKey())
  const runs = join(folder, 'runs')
  const command = `mkdir ${folder}/lock || echo overlap >> ${runs}; sleep 0.2; echo run >> ${runs}; rmdir ${folder}/lock; cat ${key}`
  const { app: { accessKey } } = await buildKeyApp(t, { IZUMA_ACCESS_KEY_COMMAND: command, PATH: '/usr/bin:/bin' })
  const read = async () => (await import('node:fs/promises')).readFile(runs, 'utf8')
  for (let count = 0; count < 10; count++) accessKey.reload()
  await waitFor('the runs', read, text => text === 'run\nrun\nrun\n' && !existsSync(join(folder, 'lock')))
})

test('runs the command again when its key is too old', async t => {
  const [first, second] = [makeKey(), makeKey()]
  const file = writeKeyFile(join(makeFolder(t), 'key'), first)
  const { until } = await buildKeyApp(t, { IZUMA_ACCESS_KEY_COMMAND: `cat ${file}`, IZUMA_ACCESS_KEY_COMMAND_TTL: '300ms', PATH: '/usr/bin:/bin' })
  await until(first)
  writeKeyFile(file, second)
  t.ok(await until(second) < 2000)
})

test('tries a failed command again by itself, and logs what it said without the key in it', async t => {
  const file = join(makeFolder(t), 'key')
  const key = makeKey()
  const leak = makeKey()
  const { report, until, text, lines } = await buildKeyApp(t, { IZUMA_ACCESS_KEY_COMMAND: `echo "no luck with ${leak}" >&2; cat ${file} 2>/dev/null`, PATH: '/usr/bin:/bin' })
  t.match(await report(), { state: 'failed', ready: false, details: { reason: /ended with exit code 1/, next_step: /run the command in a shell/ } })
  t.match(lines()[0], { level: 40, said: 'no luck with [access key removed]\n' })
  writeKeyFile(file, key)
  t.ok(await until(key) < 3000)
  t.same(findWindows(text(), key.slice(79)), [])
  t.same(findWindows(text(), leak.slice(79)), [])
})

test('a slow command does not keep the proxy from starting', async t => {
  const start = performance.now()
  const key = makeKey()
  const file = writeKeyFile(join(makeFolder(t), 'key'), key)
  const { app, until } = await buildKeyApp(t, { IZUMA_ACCESS_KEY_COMMAND: `sleep 3.5; cat ${file}`, PATH: '/usr/bin:/bin' })
  t.ok(performance.now() - start < 3400)
  t.equal(app.accessKey.current(), undefined)
  await until(key)
})

test('stops listening to changes when asked to, and everything when the app closes', async t => {
  const [first, second, third] = [makeKey(), makeKey(), makeKey()]
  const file = writeKeyFile(join(makeFolder(t), 'key'), first)
  const { app, until } = await buildKeyApp(t, { IZUMA_ACCESS_KEY_FILE: file })
  const heard: unknown[] = []
  const stop = app.accessKey.onChange(key => heard.push(key?.reveal()))
  writeKeyFile(file, second)
  await until(second)
  stop()
  await app.close()
  writeKeyFile(file, third)
  await new Promise(resolve => setTimeout(resolve, 700))
  t.equal(app.accessKey.current()?.reveal(), second)
  t.same(heard, [second])
})
