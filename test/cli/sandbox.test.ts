import { readFile, stat } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { test } from 'tap'
import type { Test } from 'tap'
import { command } from '../../src/cli/sandbox.ts'
import { UsageError } from '../../src/cli/command.ts'
import type { OptionValue } from '../../src/cli/command.ts'
import { waitFor } from '../support/wait-for.ts'

interface Facts { origin: string, devices: number, ca_file: string, access_key_file: string, start: string }

interface Ran { stdout: () => string, interrupt: () => void, exit: Promise<number> }

/** The command as main.ts would run it, in a folder of its own. */
function run (t: Test, options: Record<string, OptionValue> = {}): Ran {
  let text = ''
  const stream = new Writable({ write (chunk, _encoding, done) { text += String(chunk); done() } })
  const interruption = new AbortController()
  const exit = command.run({
    args: [],
    options,
    settings: () => { throw new Error('The sandbox has no settings.') },
    terminal: { stdout: stream, stderr: stream, environment: {}, cwd: t.testdirName, interrupted: interruption.signal, onHangup: () => () => {}, self: { execPath: process.execPath, script: '' }, pid: process.pid, nodeVersion: process.version }
  })
  exit.catch(() => {})
  t.teardown(async () => {
    interruption.abort()
    await exit.catch(() => {})
  })
  return { stdout: () => text, interrupt: () => interruption.abort(), exit }
}

async function runToFacts (t: Test, options: Record<string, OptionValue> = {}): Promise<Ran & { facts: Facts }> {
  const ran = run(t, { json: true, ...options })
  const text = await Promise.race([waitFor('the facts', ran.stdout, out => out.endsWith('\n')), ran.exit.then(code => { throw new Error(`exited with ${code}`) })])
  return { ...ran, facts: JSON.parse(text) as Facts }
}

async function ask (facts: Facts, path: string): Promise<number> {
  const [ca, key] = await Promise.all([readFile(facts.ca_file), readFile(facts.access_key_file, 'utf8')])
  return await new Promise((resolve, reject) => {
    request(new URL(path, facts.origin), { ca, agent: false, headers: { Authorization: `Bearer ${key.trim()}` } }, answer => resolve(answer.resume().statusCode ?? 0)).on('error', reject).end()
  })
}

test('prints how to start the proxy against it, answers, and cleans up when it is interrupted', async t => {
  t.testdir()
  const { facts, interrupt, exit } = await runToFacts(t, { devices: '12', quiet: true })
  t.equal(facts.devices, 12)
  t.equal(facts.start, `npx izuma-proxy start --api-host ${facts.origin} --ca-file ${facts.ca_file} --access-key-file ${facts.access_key_file}`)
  t.equal((await stat(facts.access_key_file)).mode & 0o777, 0o600)
  t.equal(await ask(facts, '/v3/devices'), 200)
  interrupt()
  t.equal(await exit, 0)
  await t.rejects(stat(facts.ca_file), { code: 'ENOENT' })
  await t.rejects(stat(facts.access_key_file), { code: 'ENOENT' })
  await t.rejects(new Promise((resolve, reject) => request(facts.origin, resolve).on('error', reject).end()), { code: 'ECONNREFUSED' })
})

test('prints text for people, never the key', async t => {
  const folder = t.testdir()
  const { stdout } = run(t, { 'access-key-file': 'my key' })
  await waitFor('the text', stdout, text => text.includes('Ctrl-C'))
  const key = (await readFile(join(folder, 'my key'), 'utf8')).trim()
  t.match(stdout(), /^The sandbox listens on https:\/\/127\.0\.0\.1:\d+ with 3000 devices\./)
  t.ok(stdout().includes(`--access-key-file '${join(folder, 'my key')}'`))
  t.equal(key.length, 111)
  t.notOk(stdout().includes(key.slice(-32)))
})

test('keeps its key and its files over a restart', async t => {
  const folder = t.testdir()
  const files = { 'ca-file': 'ca.pem', 'access-key-file': 'key' }
  const first = await runToFacts(t, files)
  t.equal(first.facts.ca_file, join(folder, 'ca.pem'))
  first.interrupt()
  await first.exit
  const key = await readFile(join(folder, 'key'), 'utf8')
  const second = await runToFacts(t, files)
  t.equal(await readFile(join(folder, 'key'), 'utf8'), key)
  t.equal(await ask(second.facts, '/v3/accounts/me'), 200)
})

const wrong: Array<[options: Record<string, OptionValue>, message: RegExp]> = [
  [{ 'ca-file': 'roots.pem' }, /roots\.pem: the file exists and is not of a sandbox/],
  [{ 'access-key-file': 'notes' }, /notes: the file exists and does not hold one key/],
  [{ 'access-key-file': '.' }, /EISDIR/],
  [{ devices: 'many' }, /--devices many: expected a whole number up to 1000000/],
  [{ devices: '1000001' }, /--devices 1000001/],
  [{ port: '70000' }, /--port 70000/],
  [{ latency: '-1' }, /--latency -1/]
]
for (const [options, message] of wrong) {
  test(`refuses ${JSON.stringify(options)} and changes no file`, async t => {
    const folder = t.testdir({ 'roots.pem': 'of my firewall\n', notes: 'two words\n' })
    const error = await run(t, options).exit.then(() => undefined, (reason: unknown) => reason)
    t.type(error, UsageError)
    t.match((error as Error).message, message)
    t.equal(await readFile(join(folder, 'roots.pem'), 'utf8'), 'of my firewall\n')
    t.equal(await readFile(join(folder, 'notes'), 'utf8'), 'two words\n')
  })
}

test('fails when its port is taken', async t => {
  t.testdir()
  const { facts } = await runToFacts(t)
  await t.rejects(run(t, { port: new URL(facts.origin).port }).exit, { code: 'EADDRINUSE' })
})
