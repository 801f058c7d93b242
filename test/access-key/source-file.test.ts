import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, statfsSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { KeyFault } from '../../src/access-key/key-text.ts'
import { isBelowRunSecrets } from '../../src/access-key/secret-mount.ts'
import { FileSource } from '../../src/access-key/source-file.ts'
import { buildKeyApp, makeFolder, writeKeyFile } from '../support/key-app.ts'
import { makeKey } from '../support/synthetic-keys.ts'
import { waitFor } from '../support/wait-for.ts'

async function faultOf (path: string): Promise<KeyFault> {
  try {
    await new FileSource(path).read()
  } catch (error) {
    if (error instanceof KeyFault) return error
    throw error
  }
  throw new Error(`${path} was read`)
}

test('refuses a file that group or others may use, and says which command helps', async t => {
  const path = join(makeFolder(t), 'key')
  for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o666, 0o777, 0o644]) {
    writeKeyFile(path, makeKey(), mode)
    const fault = await faultOf(path)
    t.equal(fault.message, `may be used by others (mode 0${mode.toString(8)})`)
    t.equal(fault.nextStep, `chmod 600 ${path}`)
  }
  for (const mode of [0o600, 0o400, 0o700]) t.ok(await new FileSource(writeKeyFile(path, makeKey(), mode)).read())
})

test('follows a link and judges what it leads to', async t => {
  const folder = makeFolder(t)
  const path = join(folder, 'link')
  symlinkSync(writeKeyFile(join(folder, 'key'), makeKey(), 0o644), path)
  t.match((await faultOf(path)).message, /may be used by others/)
  chmodSync(join(folder, 'key'), 0o600)
  t.ok(await new FileSource(path).read())
})

test('says why it cannot be read, without waiting for anybody', async t => {
  const folder = makeFolder(t)
  t.match(await faultOf(join(folder, 'none')), { message: 'does not exist', nextStep: /within a second/ })
  t.match(await faultOf(folder), { message: 'is not an ordinary file' })
  const pipe = join(folder, 'pipe')
  execFileSync('sh', ['-c', `mkfifo -m 600 ${pipe}`])
  t.match(await faultOf(pipe), { message: 'is not an ordinary file', nextStep: /IZUMA_ACCESS_KEY_COMMAND/ })
  t.match(await faultOf(writeKeyFile(join(folder, 'large'), 'a'.repeat(70_000))), { message: 'is too large for a key' })
  t.match(await faultOf(writeKeyFile(join(folder, 'empty'), '\n')), { message: 'is empty' })
})

test('accepts the secret volume of Kubernetes, readable as it is, and its rotation by one swapped link', async t => {
  const folder = makeFolder(t)
  const [first, second, third] = [makeKey(), makeKey(), makeKey()]
  const publish = (version: string, key: string) => {
    mkdirSync(join(folder, version))
    writeKeyFile(join(folder, version, 'access-key'), key, 0o644)
    symlinkSync(version, join(folder, '..data_tmp'))
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
  }
  publish('..2026_07_01_1', first)
  symlinkSync('..data/access-key', join(folder, 'access-key'))
  const { app, until } = await buildKeyApp(t, { IZUMA_ACCESS_KEY_FILE: join(folder, 'access-key') })
  t.equal(app.accessKey.current()?.reveal(), first)
  publish('..2026_07_01_2', second)
  rmSync(join(folder, '..2026_07_01_1'), { recursive: true })
  t.ok(await until(second) < 1000)
  publish('..2026_07_01_3', third)
  t.ok(await until(third) < 1000)
})

test('a link that only looks like that volume is no excuse', async t => {
  const folder = makeFolder(t)
  mkdirSync(join(folder, '..data'))
  writeKeyFile(join(folder, '..data', 'key'), makeKey(), 0o644)
  symlinkSync('..data/key', join(folder, 'key'))
  t.match((await faultOf(join(folder, 'key'))).message, /may be used by others/, '..data is a folder')
})

test('accepts what lies where Docker, Podman and systemd put secrets', async t => {
  for (const path of ['/run/secrets/key', '/var/run/secrets/a/key', '/run/credentials/izuma-proxy.service/key']) t.equal(isBelowRunSecrets(path), true, path)
  for (const path of ['/run/secrets', '/run/secrets/', '/home/me/run/secrets/key', '/run/secretsx/key', '/tmp/key']) t.equal(isBelowRunSecrets(path), false, path)
})

test('a world-readable file in memory is refused like any other', { skip: noTmpfs() }, async t => {
  t.match((await faultOf(writeKeyFile(join(makeFolder(t, '/dev/shm'), 'key'), makeKey(), 0o644))).message, /may be used by others/)
})

test('takes up every kind of change within a second', async t => {
  const folder = makeFolder(t)
  const path = writeKeyFile(join(folder, 'key'), makeKey())
  const { until } = await buildKeyApp(t, { IZUMA_ACCESS_KEY_FILE: path })
  const changes: Record<string, (key: string) => void> = {
    'rewritten in place': key => { writeFileSync(path, key) },
    'renamed over': key => { renameSync(writeKeyFile(join(folder, 'next'), key), path) },
    'deleted and made anew': key => { unlinkSync(path); writeKeyFile(path, key) },
    'replaced by a link': key => { unlinkSync(path); symlinkSync(writeKeyFile(join(folder, 'elsewhere'), key), path) },
    'rewritten behind the link': key => { writeFileSync(join(folder, 'elsewhere'), key) },
    'its folder replaced': key => {
      renameSync(folder, folder + '.old')
      t.teardown(() => { rmSync(folder + '.old', { recursive: true }) })
      mkdirSync(folder)
      writeKeyFile(path, key)
    }
  }
  for (const [how, change] of Object.entries(changes)) {
    const key = makeKey()
    change(key)
    t.ok(await until(key) < 1000, how)
  }
})

test('never takes half of a key that is being written', async t => {
  const path = writeKeyFile(join(makeFolder(t), 'key'), makeKey())
  const { app, until } = await buildKeyApp(t, { IZUMA_ACCESS_KEY_FILE: path })
  const taken: (string | undefined)[] = []
  app.accessKey.onChange(key => taken.push(key?.reveal()))
  const next = makeKey()
  await writeSlowly(path, next)
  await until(next)
  t.same(taken, [next])
})

test('hundreds of changes in a second end with the last one', async t => {
  const path = writeKeyFile(join(makeFolder(t), 'key'), makeKey())
  const { until } = await buildKeyApp(t, { IZUMA_ACCESS_KEY_FILE: path })
  let last = ''
  for (let count = 0; count < 300; count++) {
    last = makeKey()
    renameSync(writeKeyFile(path + '.next', last), path)
    if (count % 10 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  await until(last)
})

test('closes what it opened', async t => {
  const path = writeKeyFile(join(makeFolder(t), 'key'), makeKey())
  const descriptors = () => execFileSync('sh', ['-c', `ls -l /proc/${process.pid}/fd | grep -c ${path}; true`]).toString().trim()
  const source = new FileSource(path)
  for (let count = 0; count < 20; count++) await source.read()
  await t.rejects(new FileSource(writeKeyFile(path, '')).read())
  await waitFor('open descriptors', descriptors, count => count === '0')
})

/** In pieces, a few milliseconds apart: what a copy over a slow connection looks like. */
async function writeSlowly (path: string, text: string): Promise<void> {
  writeFileSync(path, '')
  for (let at = 0; at < text.length; at += 10) {
    writeFileSync(path, text.slice(at, at + 10), { flag: 'a' })
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

function noTmpfs (): string | false {
  return existsSync('/dev/shm') && statfsSync('/dev/shm').type === 0x01021994 ? false : 'needs a file system in memory'
}
