import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startSandbox } from '../../src/sandbox/index.ts'
import { notify, payloads, startChannelProxy, type ChannelProxy } from '../support/channel-proxy.ts'

// The log of a lone proxy ends with it: whoever may have missed something is told by the next one.

const pull = (proxy: ChannelProxy, member: string) => proxy.ask(member, 'GET', '/v2/notification/pull')

async function startFirst (test: Test): Promise<ChannelProxy> {
  const api = await startSandbox({ quiet: true, devices: 5 })
  const proxy = await startChannelProxy(test, { api })
  test.teardown(() => api.close())
  return proxy
}

/** The next proxy, after one that was killed: with what was in its folder at that moment. */
async function killAndStart (test: Test, before: ChannelProxy): Promise<ChannelProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'izuma-killed-'))
  cpSync(before.folder, folder, { recursive: true, filter: path => !path.endsWith('lock') })
  await before.close()
  test.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return startChannelProxy(test, { api: before.api, folder })
}

t.test('after an end in good order, with everything heard, nobody is told anything', async t => {
  const before = await startFirst(t)
  const listener = before.connect('ada')
  await listener.opened
  await before.ready()
  notify(before.api, 'x')
  await listener.until('notifications', 1)
  await before.close()
  const after = await startChannelProxy(t, { api: before.api, folder: before.folder })
  const again = after.connect('ada')
  await again.opened
  await after.ready()
  notify(after.api, 'y')
  t.same(payloads(await again.until('notifications', 1)), ['y'])
  t.equal(after.status()['gaps'], 0)
})

t.test('what came for a poll that never followed is gone: the next one says so', async t => {
  const before = await startFirst(t)
  const other = before.connect('bob')
  await other.opened
  await pull(before, 'ada')
  await before.ready()
  notify(before.api, 'x')
  await other.until('notifications', 1)
  await before.close()
  const after = await startChannelProxy(t, { api: before.api, folder: before.folder })
  t.equal((await pull(after, 'ada')).headers['x-proxy-gap'], 'proxy_restarted')
  t.equal((await pull(after, 'ada')).headers['x-proxy-gap'], undefined, 'once')
})

t.test('after a kill every channel of before is told once, and goes on', async t => {
  const before = await startFirst(t)
  await before.connect('ada').opened
  await pull(before, 'bob')
  await before.ready()
  const after = await killAndStart(t, before)
  const first = after.connect('ada')
  t.match(await first.closed, { code: 1012 })
  t.equal((await pull(after, 'bob')).headers['x-proxy-gap'], 'proxy_restarted')
  const second = after.connect('ada')
  await second.opened
  await after.ready()
  notify(after.api, 'y')
  t.same(payloads(await second.until('notifications', 1)), ['y'])
  const fresh = await pull(after, 'cyd')
  t.equal(fresh.headers['x-proxy-gap'], undefined, 'who is new has missed nothing')
  t.equal(after.status()['gaps'], 1)
})
