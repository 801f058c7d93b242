import { test } from 'tap'
import { makeIdentifiers, mintAccessKey, publicPart } from '../../src/sandbox/identifiers.ts'
import { setUpSandbox } from '../support/sandbox-client.ts'
import { listen } from '../support/sandbox-socket.ts'
import { waitFor } from '../support/wait-for.ts'

test('lives: devices register, report, renew and drop out, as long as somebody listens', async t => {
  const { sandbox, ask } = await setUpSandbox(t, { quiet: false, eventsPerSecond: 500, devices: 300 })
  const states = (): string => Array.from({ length: 300 }, (_, index) => sandbox.devices.at(index)?.state).join()
  const before = states()
  await new Promise(resolve => setTimeout(resolve, 50))
  t.equal(states(), before, 'nobody listens, nothing happens')
  await ask('/v2/subscriptions', { method: 'PUT', body: '[{}]' })
  await ask('/v2/notification/websocket', { method: 'PUT' })
  const listener = await listen(t, sandbox)
  for (const kind of ['registrations', 'reg-updates', 'de-registrations', 'registrations-expired', 'notifications']) {
    t.ok((await listener.until(kind)).length > 0, kind)
  }
  t.not(states(), before)
})

test('lets those devices report that somebody subscribed to', async t => {
  const { sandbox, ask } = await setUpSandbox(t, { quiet: false, eventsPerSecond: 200, devices: 50 })
  await ask('/v2/notification/websocket', { method: 'PUT' })
  const listener = await listen(t, sandbox)
  const { json: { data: [light] } } = await ask('/v3/devices?state__eq=registered&endpoint_type__eq=street-light')
  for (const path of ['/3311/0/5850', '/3311/0/5851', '/3305/0/5800']) await ask(`/v2/subscriptions/${light.id}${path}`, { method: 'PUT' })
  const notifications = await listener.until('notifications', 3)
  t.ok(notifications.every(({ ep }) => ep === light.id))
})

test('keeps still when it is quiet', async t => {
  const { sandbox, ask } = await setUpSandbox(t, { quiet: true, eventsPerSecond: 1000 })
  await ask('/v2/notification/websocket', { method: 'PUT' })
  const listener = await listen(t, sandbox)
  await new Promise(resolve => setTimeout(resolve, 50))
  t.strictSame(listener.messages, [])
})

test('remembers as many requests as it was told, none for a benchmark', async t => {
  const few = await setUpSandbox(t, { keepReceived: 3 })
  for (let index = 0; index < 5; index++) await few.ask(`/v3/devices?n=${index}`)
  t.strictSame(few.sandbox.received.map(({ number }) => number), [3, 4, 5])
  few.sandbox.clearReceived()
  t.equal(few.sandbox.received.length, 0)
  const none = await setUpSandbox(t, { keepReceived: 0 })
  t.equal((await none.ask('/v3/devices')).status, 200)
  t.equal(none.sandbox.received.length, 0)
})

test('says when a request comes, is whole, and is answered', async t => {
  const { sandbox, ask } = await setUpSandbox(t, { latencyMs: 30 })
  const coming = sandbox.waitFor(({ method }) => method === 'POST')
  const answer = ask('/v3/device-groups', { method: 'POST', body: '{"name":"x"}' })
  const received = await coming
  t.match(received, { status: 0, complete: false })
  await received.ended
  t.match(received, { complete: true, body: Buffer.from('{"name":"x"}') })
  await received.closed
  t.match(received, { status: 201, aborted: false, requestId: (await answer).headers['x-request-id'] })
  t.equal((await sandbox.waitFor(({ number }) => number === 1)).number, 1, 'one that was there before')
})

test('ends at once, whatever is open', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  await ask('/v2/notification/websocket', { method: 'PUT' })
  const listener = await listen(t, sandbox)
  const other = sandbox.addAccessKey({ application: 'new' })
  const poll = ask('/v2/notification/pull', { key: other }).then(() => 'answered', () => 'broken')
  await waitFor('the poll', () => sandbox.channel(other)?.connected, connected => connected === true)
  const started = performance.now()
  await sandbox.close()
  t.ok(performance.now() - started < 500)
  t.ok([1001, 1006].includes(await listener.closed))
  await poll
  await sandbox.close().catch(() => {})
})

test('mints ids and keys as the API has them', async t => {
  const ids = makeIdentifiers(() => 0x0161991d6315)
  const [first, second] = [ids.next(), ids.next()]
  t.match(first, /^0161991d6315[0-9a-f]{20}$/)
  t.not(first, second)
  t.equal(ids.now(), '2018-02-15T10:58:15.445000Z')
  const key = mintAccessKey(first, second, 1)
  t.equal(key.length, 111)
  t.equal(publicPart(key).length, 79)
  t.equal(publicPart(key).slice(47), second)
  t.not(mintAccessKey(first, second), mintAccessKey(first, second))
})
