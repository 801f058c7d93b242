import t from 'tap'
import { notify, payloads, startChannelProxy } from '../support/channel-proxy.ts'
import { waitFor } from '../support/wait-for.ts'

t.test('every member hears every event, in order, over one upstream connection', async t => {
  const proxy = await startChannelProxy(t)
  const ada = proxy.connect('ada')
  const bob = proxy.connect('bob')
  await Promise.all([ada.opened, bob.opened, proxy.ready()])
  const sent = Array.from({ length: 500 }, (_, n) => String(n))
  for (const text of sent) notify(proxy.api, text)
  t.same(payloads(await ada.until('notifications', 500)), sent)
  t.same(payloads(await bob.until('notifications', 500)), sent)
  t.equal(proxy.api.connections().webSockets, 1)
})

t.test('two programs of one member both hear everything', async t => {
  const proxy = await startChannelProxy(t)
  const [first, second] = [proxy.connect('local'), proxy.connect('local')]
  await Promise.all([first.opened, second.opened, proxy.ready()])
  notify(proxy.api, 'x')
  t.same(payloads(await first.until('notifications', 1)), ['x'])
  t.same(payloads(await second.until('notifications', 1)), ['x'])
})

t.test('a member hears of the devices it may see', async t => {
  const [mine, other] = ['a'.repeat(32), 'b'.repeat(32)]
  const proxy = await startChannelProxy(t, { devices: { ada: [mine] } })
  const [ada, bob] = [proxy.connect('ada'), proxy.connect('bob')]
  await Promise.all([ada.opened, bob.opened, proxy.ready()])
  for (const [text, device] of [['1', other], ['2', mine], ['3', other], ['4', mine]] as const) notify(proxy.api, text, device)
  t.same(payloads(await bob.until('notifications', 4)), ['1', '2', '3', '4'])
  t.same(payloads(await ada.until('notifications', 2)), ['2', '4'])
})

t.test('events wait for a member that registered, and for one that comes back', async t => {
  const proxy = await startChannelProxy(t)
  const bob = proxy.connect('bob')
  await bob.opened
  t.equal((await proxy.ask('ada', 'PUT', '/v2/notification/websocket')).status, 201)
  await proxy.ready()
  notify(proxy.api, '1')
  await bob.until('notifications', 1)
  const first = proxy.connect('ada')
  t.same(payloads(await first.until('notifications', 1)), ['1'])
  await first.close()
  notify(proxy.api, '2')
  notify(proxy.api, '3')
  await bob.until('notifications', 3)
  const status = JSON.parse((await proxy.ask('ada', 'GET', '/v2/notification/websocket')).text) as { status: string, queue_size: number }
  t.equal(status.status, 'disconnected')
  t.ok(status.queue_size === 1 || status.queue_size === 2, 'messages, which hold one or more events')
  const second = proxy.connect('ada')
  t.same(payloads(await second.until('notifications', 2)), ['2', '3'], 'no more, no less')
})

t.test('a connection that is cut off loses nothing, and repeats only what was not acknowledged', async t => {
  const proxy = await startChannelProxy(t)
  let ada = proxy.connect('ada')
  await Promise.all([ada.opened, proxy.ready()])
  const heard: string[][] = []
  let next = 0
  for (let round = 0; round < 8; round++) {
    const upTo = next + 50
    for (; next < upTo; next++) notify(proxy.api, String(next))
    await ada.until('notifications', 1)
    ada.socket.terminate()
    await ada.closed
    heard.push(payloads(ada.items('notifications')))
    ada = proxy.connect('ada')
    await ada.opened
  }
  const seen = () => new Set([...heard.flat(), ...payloads(ada.items('notifications'))])
  await waitFor('all events', () => seen().size, size => size === next)
  heard.push(payloads(ada.items('notifications')))
  for (const part of heard) t.same(part, [...part].sort((a, b) => Number(a) - Number(b)), 'in order within a connection')
})

t.test('programs that share a member may each have a queue of their own', async t => {
  const proxy = await startChannelProxy(t)
  const one = proxy.connect('ada', '?consumer=one')
  const two = proxy.connect('ada', '?consumer=two')
  await Promise.all([one.opened, two.opened, proxy.ready()])
  await two.close()
  notify(proxy.api, 'x')
  await one.until('notifications', 1)
  t.same(payloads(await proxy.connect('ada', '?consumer=two').until('notifications', 1)), ['x'])
  t.equal((await proxy.ask('ada', 'GET', '/v2/notification/websocket?consumer=a%2Fb')).status, 400)
})

t.test('a channel is registered, shown and deleted for its member alone', async t => {
  const proxy = await startChannelProxy(t)
  const serialization = { type: 'v2', cfg: { deregistrations_as_object: true } }
  const created = await proxy.ask('ada', 'PUT', '/v2/notification/websocket', { serialization })
  t.same([created.status, JSON.parse(created.text)], [201, { status: 'disconnected', queue_size: 0, serialization }])
  const again = await proxy.ask('ada', 'PUT', '/v2/notification/websocket', {})
  t.same([again.status, JSON.parse(again.text)], [200, { serialization }])
  t.equal((await proxy.ask('bob', 'GET', '/v2/notification/websocket')).status, 404)
  t.same(JSON.parse((await proxy.ask('ada', 'GET', '/v2/notification/channel')).text), { delivery_mechanism: 'WEB_SOCKET' })
  t.equal((await proxy.ask('bob', 'GET', '/v2/notification/channel')).status, 404)
  const [ada, bob] = [proxy.connect('ada'), proxy.connect('bob')]
  await Promise.all([ada.opened, bob.opened])
  t.equal((await proxy.ask('ada', 'DELETE', '/v2/notification/websocket')).status, 204)
  t.equal((await ada.closed).code, 1000)
  t.equal((await proxy.connect('ada').closed).code, 1011, 'as the API without a channel')
  t.equal((await proxy.ask('ada', 'DELETE', '/v2/notification/websocket')).status, 404)
  t.equal(bob.socket.readyState, 1)
  t.equal((await proxy.ask('ada', 'PUT', '/v2/notification/websocket')).status, 201)
  const back = proxy.connect('ada')
  await back.opened
  t.notOk(proxy.api.received.some(({ method }) => method === 'DELETE'), 'the API\'s channel is left alone')
})

t.test('refuses a body that is no registration', async t => {
  const proxy = await startChannelProxy(t)
  for (const body of ['[]', '{', '"x"', '{"serialization":5}']) {
    t.equal((await proxy.ask('ada', 'PUT', '/v2/notification/websocket', body)).status, 400, body)
  }
})

t.test('removals come in the form each member registered for', async t => {
  const proxy = await startChannelProxy(t)
  await proxy.ask('ada', 'PUT', '/v2/notification/websocket', { serialization: { type: 'v2', cfg: { deregistrations_as_object: 'true' } } })
  const [ada, bob] = [proxy.connect('ada'), proxy.connect('bob')]
  await Promise.all([ada.opened, bob.opened, proxy.ready()])
  const device = proxy.api.devices.at(0)?.id as string
  proxy.api.events.deregister(device)
  t.same(await bob.until('de-registrations', 1), [device])
  const [object] = await ada.until('de-registrations', 1) as [{ ep: string, uid: string }]
  t.equal(object.ep, device)
  t.ok(object.uid, 'with all the API tells')
})

t.test('batches of 20,000 items and messages of several megabytes pass whole', async t => {
  const proxy = await startChannelProxy(t, { sandbox: { batchMs: 200 } })
  const [ada, bob] = [proxy.connect('ada'), proxy.connect('bob')]
  await Promise.all([ada.opened, bob.opened, proxy.ready()])
  for (let n = 0; n < 20_000; n++) notify(proxy.api, String(n))
  notify(proxy.api, 'x'.repeat(5_000_000))
  const heard = payloads(await ada.until('notifications', 20_001, 20_000))
  t.ok(heard.slice(0, 20_000).every((text, n) => text === String(n)))
  t.equal(heard[20_000]?.length, 5_000_000)
  t.equal((await bob.until('notifications', 20_001, 20_000)).length, 20_001)
})
