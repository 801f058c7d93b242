import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { readAccessKey } from '../../src/access-key/read.ts'
import { KeyFault } from '../../src/access-key/key-text.ts'
import { CommandSource, type CommandOptions } from '../../src/access-key/source-command.ts'
import { withoutKey } from '../../src/access-key/source-environment.ts'
import { makeFolder, writeKeyFile } from '../support/key-app.ts'
import { testSettings } from '../support/ops-app.ts'
import { makeKey } from '../support/synthetic-keys.ts'
import { waitFor } from '../support/wait-for.ts'

const environment = { PATH: '/usr/bin:/bin' }

function createSource (t: Test, command: string, options: Partial<CommandOptions> = {}): CommandSource {
  const source = new CommandSource({ command, environment, timeoutMs: 5000, timeToLiveMs: 60_000, onErrorOutput: () => {}, ...options })
  t.teardown(() => { source.close() })
  return source
}

async function faultOf (source: CommandSource): Promise<KeyFault> {
  try {
    await source.read()
  } catch (error) {
    if (error instanceof KeyFault) return error
    throw error
  }
  throw new Error('a key was read')
}

test('takes what the command prints', async t => {
  const key = makeKey()
  const path = writeKeyFile(join(makeFolder(t), 'key'), key)
  t.equal((await createSource(t, `cat ${path}; echo`).read()).reveal(), key)
  t.equal((await createSource(t, `f=$(cat ${path}) && echo "  $f  "`).read()).reveal(), key, 'by a shell')
})

test('says how the command failed', async t => {
  t.match(await faultOf(createSource(t, 'exit 3')), { message: 'ended with exit code 3', nextStep: /in a shell/ })
  t.match(await faultOf(createSource(t, 'no-such-command-here')), { message: 'ended with exit code 127' })
  t.match(await faultOf(createSource(t, 'kill -9 $$')), { message: 'ended with SIGKILL' })
  t.match(await faultOf(createSource(t, 'true')), { message: 'is empty' })
  t.match(await faultOf(createSource(t, 'echo Enter password:')), { message: /more than one word/ })
  t.match(await faultOf(createSource(t, 'echo a-key-on-its-way-out; exit 1')), { message: 'ended with exit code 1' }, 'what it printed before failing does not count')
})

test('a question on standard input meets its end at once', async t => {
  t.match(await faultOf(createSource(t, 'read answer || exit 9; echo $answer')), { message: 'ended with exit code 9' })
})

test('ends the command and all it started when its time is up', async t => {
  const pids = join(makeFolder(t), 'pids')
  const start = performance.now()
  const fault = await faultOf(createSource(t, `trap "" TERM; sleep 60 & echo $! > ${pids}; echo $$ >> ${pids}; wait; sleep 60`, { timeoutMs: 300 }))
  t.match(fault, { message: 'took longer than 300 ms', nextStep: /IZUMA_ACCESS_KEY_COMMAND_TIMEOUT/ })
  t.ok(performance.now() - start < 3000)
  for (const pid of readFileSync(pids, 'utf8').trim().split('\n')) await waitFor(`process ${pid}`, () => isAlive(pid), alive => !alive)
})

test('stops a command that does not stop printing', async t => {
  const start = performance.now()
  t.match(await faultOf(createSource(t, 'yes')), { message: 'printed more than 65536 bytes' })
  t.ok(performance.now() - start < 3000)
})

test('does not wait for a background process that holds the pipe', async t => {
  const key = makeKey()
  const folder = makeFolder(t)
  const path = writeKeyFile(join(folder, 'key'), key)
  const start = performance.now()
  t.equal((await createSource(t, `sleep 20 & echo $! > ${folder}/pid; cat ${path}`).read()).reveal(), key)
  t.ok(performance.now() - start < 3000)
  process.kill(Number(readFileSync(`${folder}/pid`, 'utf8')))
})

test('hands over what the command says on standard error, cut short', async t => {
  const said: [string, boolean][] = []
  const onErrorOutput = (text: string, succeeded: boolean) => { said.push([text, succeeded]) }
  await faultOf(createSource(t, 'echo why >&2; exit 1', { onErrorOutput }))
  await createSource(t, `echo note >&2; echo ${'k'.repeat(20)}`, { onErrorOutput }).read()
  t.same(said, [['why\n', false], ['note\n', true]])
  await faultOf(createSource(t, 'head -c 100000 /dev/zero | tr "\\0" x >&2; exit 1', { onErrorOutput }))
  t.equal(said[2]?.[0].length, 2048)
})

test('keeps a key that is in the environment from the command', async t => {
  const key = makeKey()
  const path = join(makeFolder(t), 'environment')
  await faultOf(createSource(t, `env > ${path}; exit 1`, { environment: { ...environment, IZUMA_ACCESS_KEY: key, KEPT: 'yes' } }))
  t.match(readFileSync(path, 'utf8'), 'KEPT=yes')
  t.notMatch(readFileSync(path, 'utf8'), key)
  t.same(withoutKey({ A: '1', IZUMA_ACCESS_KEY: key }), { A: '1' })
})

test('ends a running command when it is closed', async t => {
  const pid = join(makeFolder(t), 'pid')
  const source = createSource(t, `echo $$ > ${pid}; sleep 60`)
  const reading = faultOf(source)
  await waitFor('the command', () => existsSync(pid) && readFileSync(pid, 'utf8').trim(), started => started !== false && started !== '')
  source.close()
  t.match(await reading, { message: 'ended with SIGTERM' })
})

test('waits longer after each failure, a minute at most', async t => {
  const source = createSource(t, 'true')
  t.same([1, 2, 3, 6, 7, 50].map(attempt => source.retryAfterMs(attempt)), [1000, 2000, 4000, 32_000, 60_000, 60_000])
})

test('reads the key once for `check`, with every reason in the message and no key in it', async t => {
  const key = makeKey()
  const path = writeKeyFile(join(makeFolder(t), 'key'), key + '\n')
  t.equal((await readAccessKey(testSettings({ IZUMA_ACCESS_KEY_FILE: path }), {})).key.reveal(), key)
  const { key: fromEnvironment, warning } = await readAccessKey(testSettings({ IZUMA_ACCESS_KEY: key }), {})
  t.equal(fromEnvironment.reveal(), key)
  t.match(warning, /IZUMA_ACCESS_KEY_FILE/)
  await t.rejects(readAccessKey(testSettings(), {}), { message: /^the settings name no access key: set IZUMA_ACCESS_KEY_FILE/ })
  await t.rejects(readAccessKey(testSettings({ IZUMA_ACCESS_KEY_FILE: writeKeyFile(path, key, 0o644) }), {}), { message: `${path} may be used by others (mode 0644): chmod 600 ${path}` })
  await t.rejects(readAccessKey(testSettings({ IZUMA_ACCESS_KEY_COMMAND: `echo ${key} is wrong >&2; exit 2` }), environment), {
    message: /^IZUMA_ACCESS_KEY_COMMAND ended with exit code 2: .*; it said: \[access key removed\] is wrong$/
  })
})

function isAlive (pid: string): boolean {
  try {
    process.kill(Number(pid), 0)
    // A child that nobody has waited for yet is still listed.
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}
