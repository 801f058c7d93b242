import { chmodSync, chownSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { makeOwnFolder } from '../src/compile-cache.ts'

const find = (environment: Record<string, string>) => makeOwnFolder({ environment, uid: process.getuid?.() })

test('compiled code is kept where this user\'s caches are', async t => {
  const home = t.testdir()
  const folder = join(home, '.cache/izuma-proxy')
  t.equal(find({ HOME: home }), folder)
  t.equal(statSync(folder).mode & 0o777, 0o700)
  t.equal(find({ HOME: home }), folder, 'and again')
  t.equal(find({ HOME: home, XDG_CACHE_HOME: join(home, 'caches') }), join(home, 'caches/izuma-proxy'))
  t.equal(find({ HOME: home, XDG_CACHE_HOME: 'not/absolute' }), folder)
})

test('and nowhere if there is no such place, or others can write to it', async t => {
  const home = t.testdir()
  t.equal(find({}), undefined)
  t.equal(find({ HOME: 'relative' }), undefined)
  t.notOk(existsSync('relative'))

  writeFileSync(join(home, 'file'), '')
  t.equal(find({ XDG_CACHE_HOME: join(home, 'file') }), undefined, 'a file is in the way')

  mkdirSync(join(home, 'shared/izuma-proxy'), { recursive: true })
  chmodSync(join(home, 'shared/izuma-proxy'), 0o777)
  t.equal(find({ XDG_CACHE_HOME: join(home, 'shared') }), undefined, 'anybody may write')

  mkdirSync(join(home, 'elsewhere'), { mode: 0o700 })
  mkdirSync(join(home, 'linked'))
  symlinkSync(join(home, 'elsewhere'), join(home, 'linked/izuma-proxy'))
  t.equal(find({ XDG_CACHE_HOME: join(home, 'linked') }), undefined, 'a link leads elsewhere')
})

test('a folder of another user is not used', { skip: process.getuid?.() !== 0 && 'needs root' }, async t => {
  const caches = t.testdir({ 'izuma-proxy': {} })
  chmodSync(join(caches, 'izuma-proxy'), 0o700)
  chownSync(join(caches, 'izuma-proxy'), 65532, 65532)
  t.equal(find({ XDG_CACHE_HOME: caches }), undefined)
})
