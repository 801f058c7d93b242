import t from 'tap'
import { askSandbox } from '../support/sandbox-client.ts'
import { findSensor, startChannelProxy, type ChannelProxy } from '../support/channel-proxy.ts'
import { startSandbox } from '../../src/sandbox/index.ts'

const sent = (proxy: ChannelProxy, method: string) => proxy.api.received.filter(request => request.method === method && request.url.startsWith('/v2/subscriptions')).map(({ url }) => url)

t.test('a subscription is let go at the API with its last member', async t => {
  const proxy = await startChannelProxy(t)
  const { device, path } = findSensor(proxy.api)
  const target = `/v2/subscriptions/${device}${path}`
  for (const member of ['ada', 'bob']) t.ok((await proxy.ask(member, 'PUT', target)).status < 300)
  t.equal((await proxy.ask('ada', 'DELETE', target)).status, 204)
  t.same(sent(proxy, 'DELETE'), [])
  t.equal((await proxy.ask('cyd', 'DELETE', target)).status, 204, 'nor by somebody who never had it')
  t.same(sent(proxy, 'DELETE'), [])
  t.equal((await proxy.ask('bob', 'DELETE', target)).status, 204)
  t.same(sent(proxy, 'DELETE'), [target])
  t.match(proxy.entries.filter(({ method }) => method === 'DELETE').map(({ notes, attempts }) => [notes, attempts]), [['subscription_shared', 0], ['subscription_shared', 0], ['', 1]])
})

t.test('the path goes on as it was written', async t => {
  const proxy = await startChannelProxy(t)
  const { device, path } = findSensor(proxy.api)
  await proxy.ask('ada', 'PUT', `/v2/subscriptions/${device}/${path}`)
  t.same(sent(proxy, 'PUT'), [`/v2/subscriptions/${device}/${path}`], 'two slashes')
  await proxy.ask('bob', 'PUT', `/v2/subscriptions/${device}${path}`)
  await proxy.ask('ada', 'DELETE', `/v2/subscriptions/${device}${path}`)
  t.same(sent(proxy, 'DELETE'), [], 'and counts as the same')
})

t.test('the answer to a subscription comes to whoever subscribed', async t => {
  const proxy = await startChannelProxy(t)
  const { device, path } = findSensor(proxy.api)
  const [ada, bob] = [proxy.connect('ada'), proxy.connect('bob')]
  await Promise.all([ada.opened, bob.opened, proxy.ready()])
  const answer = await proxy.ask('ada', 'PUT', `/v2/subscriptions/${device}${path}`)
  t.equal(answer.status, 202)
  t.match(await ada.until('async-responses', 1), [{ id: JSON.parse(answer.text)['async-response-id'] }])
  proxy.api.events.report(device, path)
  t.equal((await bob.until('notifications', 1)).length, 1, 'values come to everybody')
  t.equal(bob.items('async-responses').length, 0)
})

t.test('what the API refuses isn\'t counted', async t => {
  const proxy = await startChannelProxy(t)
  const { device } = findSensor(proxy.api)
  t.equal((await proxy.ask('ada', 'PUT', `/v2/subscriptions/${device}/no/such`)).status, 404)
  t.equal(proxy.status()['subscriptions'], 0)
})

t.test('all subscriptions of a device: the others\' stay', async t => {
  const proxy = await startChannelProxy(t)
  const { device, path } = findSensor(proxy.api)
  const shared = `/v2/subscriptions/${device}${path}`
  const own = `/v2/subscriptions/${device}${path.split('/').slice(0, 2).join('/')}`
  await proxy.ask('ada', 'PUT', shared)
  await proxy.ask('ada', 'PUT', own)
  await proxy.ask('bob', 'PUT', shared)
  t.equal((await proxy.ask('ada', 'DELETE', `/v2/subscriptions/${device}`)).status, 204)
  t.same(sent(proxy, 'DELETE'), [own])
  const parent = proxy.entries.find(({ method, kind }) => method === 'DELETE' && kind === 'request')
  t.match(proxy.entries.find(({ method, kind }) => method === 'DELETE' && kind === 'channel'), { parent_id: parent?.id })
  t.equal((await proxy.ask('bob', 'DELETE', `/v2/subscriptions/${device}`)).status, 204)
  t.same(sent(proxy, 'DELETE').at(-1), `/v2/subscriptions/${device}`)
  t.equal(proxy.status()['subscriptions'], 0)
})

t.test('pre-subscriptions: the API has the union, what was there before is kept, each sees its own', async t => {
  const proxy = await startChannelProxy(t)
  const [old, light, meter] = [{ 'endpoint-type': 'Old' }, { 'endpoint-type': 'Light' }, { 'endpoint-name': 'meter*', 'resource-path': ['/1', '/2'] }]
  await askSandbox(proxy.api, '/v2/subscriptions', { method: 'PUT', body: JSON.stringify([old]) })
  const upstream = async () => (await askSandbox(proxy.api, '/v2/subscriptions')).json as unknown
  const view = async (member: string) => JSON.parse((await proxy.ask(member, 'GET', '/v2/subscriptions')).text) as unknown
  t.equal((await proxy.ask('ada', 'PUT', '/v2/subscriptions', [light])).status, 204)
  t.same(await upstream(), [old, light])
  t.equal((await proxy.ask('bob', 'PUT', '/v2/subscriptions', [meter, light])).status, 204)
  t.same(await upstream(), [old, light, meter])
  t.same([await view('ada'), await view('bob'), await view('cyd')], [[old, light], [old, meter, light], [old]])
  t.equal((await proxy.ask('ada', 'DELETE', '/v2/subscriptions')).status, 204)
  t.same(await upstream(), [old, light, meter], 'bob has it still, so nothing changes at the API')
  t.equal((await proxy.ask('bob', 'PUT', '/v2/subscriptions', [])).status, 204)
  t.same(await upstream(), [old])
  t.same(sent(proxy, 'DELETE'), [])
})

t.test('members who set theirs at the same time don\'t lose each other\'s', async t => {
  const proxy = await startChannelProxy(t, { sandbox: { latencyMs: 5 } })
  await Promise.all(['a', 'b', 'c', 'd', 'e'].map(member => proxy.ask(member, 'PUT', '/v2/subscriptions', [{ 'endpoint-type': member }])))
  const { json } = await askSandbox(proxy.api, '/v2/subscriptions')
  t.same((json as Array<Record<string, string>>).map(entry => entry['endpoint-type']).sort(), ['a', 'b', 'c', 'd', 'e'])
})

t.test('what the API refuses changes nothing', async t => {
  const proxy = await startChannelProxy(t)
  await proxy.ask('ada', 'PUT', '/v2/subscriptions', [{ 'endpoint-type': 'a' }])
  t.equal((await proxy.ask('bob', 'PUT', '/v2/subscriptions', [{ 'endpoint-type': 'x'.repeat(65) }])).status, 400)
  for (const body of ['{}', 'x', '[1]', '']) t.equal((await proxy.ask('bob', 'PUT', '/v2/subscriptions', body)).status, 400, body)
  t.equal((await proxy.ask('bob', 'PUT', '/v2/subscriptions', [{ 'endpoint-type': 'b' }])).status, 204)
  t.equal((await askSandbox(proxy.api, '/v2/subscriptions')).json.length, 2)
  proxy.api.misbehave({ path: '/v2/subscriptions', method: 'GET', status: 500, count: 2 })
  t.equal((await proxy.ask('bob', 'PUT', '/v2/subscriptions', [])).status, 502, 'what is there can\'t be told')
  t.equal((await proxy.ask('bob', 'GET', '/v2/subscriptions')).status, 500)
})

t.test('all of it survives a restart', async t => {
  const api = await startSandbox({ quiet: true, devices: 20 })
  const before = await startChannelProxy(t, { api })
  t.teardown(() => api.close())
  const { device, path } = findSensor(api)
  await before.ask('ada', 'PUT', `/v2/subscriptions/${device}${path}`)
  await before.ask('bob', 'PUT', `/v2/subscriptions/${device}${path}`)
  await before.ask('ada', 'PUT', '/v2/subscriptions', [{ 'endpoint-type': 'a' }])
  await before.close()
  const after = await startChannelProxy(t, { api, folder: before.folder })
  await after.ask('ada', 'DELETE', `/v2/subscriptions/${device}${path}`)
  await after.ask('bob', 'PUT', '/v2/subscriptions', [{ 'endpoint-type': 'b' }])
  t.same(sent(after, 'DELETE'), [])
  t.equal((await askSandbox(api, '/v2/subscriptions')).json.length, 2)
})
