import { request } from 'node:http'
import t from 'tap'
import { notify, payloads, startChannelProxy, type ChannelProxy } from '../support/channel-proxy.ts'
import { waitFor } from '../support/wait-for.ts'

const pull = (proxy: ChannelProxy, member: string, query = '') => proxy.ask(member, 'GET', `/v2/notification/pull${query}`)
const polls = (proxy: ChannelProxy, count: number) => waitFor('the polls', () => proxy.status().listeners['long_poll'], open => open === count)

t.test('answers with what has come, joined into one message', async t => {
  const proxy = await startChannelProxy(t, { limits: { pollWaitMs: 3_000 } })
  const first = pull(proxy, 'ada')
  await polls(proxy, 1)
  await proxy.ready()
  notify(proxy.api, '1')
  t.match(await first, { status: 200, headers: { 'content-type': 'application/json' } })
  const heard = payloads(JSON.parse((await first).text).notifications)
  const bob = proxy.connect('bob')
  await bob.opened
  for (const text of ['2', '3', '4']) {
    notify(proxy.api, text)
    await bob.until('notifications', Number(text) - 1)
  }
  const second = await pull(proxy, 'ada')
  t.same([...heard, ...payloads(JSON.parse(second.text).notifications)], ['1', '2', '3', '4'])
})

t.test('answers 204 when nothing came', async t => {
  const proxy = await startChannelProxy(t, { limits: { pollWaitMs: 50 } })
  const { status, text } = await pull(proxy, 'ada')
  t.same([status, text], [204, ''])
})

t.test('a second poll of the same member is refused, one of another isn\'t', async t => {
  const proxy = await startChannelProxy(t, { limits: { pollWaitMs: 1_000 } })
  const first = pull(proxy, 'ada')
  await polls(proxy, 1)
  const second = await pull(proxy, 'ada')
  t.same([second.status, second.headers['x-proxy-error']], [409, 'poll_conflict'])
  const others = [pull(proxy, 'bob'), pull(proxy, 'ada', '?consumer=other')]
  await polls(proxy, 3)
  await proxy.ready()
  notify(proxy.api, 'x')
  for (const answer of await Promise.all([first, ...others])) t.same(payloads(JSON.parse(answer.text).notifications), ['x'])
})

t.test('what a poll that was given up would have got comes with the next', async t => {
  const proxy = await startChannelProxy(t, { limits: { pollWaitMs: 3_000 } })
  const { hostname, port } = new URL(proxy.url)
  const given = request({ hostname, port, path: '/v2/notification/pull', headers: { authorization: 'Bearer ada' } })
  given.on('error', () => {})
  given.end()
  await polls(proxy, 1)
  given.destroy()
  await polls(proxy, 0)
  const bob = proxy.connect('bob')
  await Promise.all([bob.opened, proxy.ready()])
  notify(proxy.api, 'x')
  await bob.until('notifications', 1)
  t.same(payloads(JSON.parse((await pull(proxy, 'ada')).text).notifications), ['x'])
})

t.test('tells in a header when events were lost', async t => {
  const proxy = await startChannelProxy(t, { environment: { PROXY_CHANNEL_REPLAY: '4KiB' }, limits: { pollWaitMs: 50 } })
  await pull(proxy, 'ada')
  const bob = proxy.connect('bob')
  await Promise.all([bob.opened, proxy.ready()])
  for (let n = 0; n < 20; n++) {
    notify(proxy.api, String(n).repeat(200))
    await bob.until('notifications', n + 1)
  }
  const answer = await pull(proxy, 'ada')
  t.match(answer, { status: 200, headers: { 'x-proxy-gap': 'overflow' } })
  t.equal((await pull(proxy, 'ada')).headers['x-proxy-gap'], undefined)
})

t.test('large messages come one by one, none is passed over', async t => {
  const proxy = await startChannelProxy(t, { limits: { pollWaitMs: 200 } })
  await pull(proxy, 'ada')
  const bob = proxy.connect('bob')
  await Promise.all([bob.opened, proxy.ready()])
  for (let n = 0; n < 4; n++) {
    notify(proxy.api, `${n}${'x'.repeat(700_000)}`)
    await bob.until('notifications', n + 1)
  }
  const answers = [await pull(proxy, 'ada'), await pull(proxy, 'ada'), await pull(proxy, 'ada')]
  t.same(answers.map(({ status }) => status), [200, 200, 204])
  t.same(answers.slice(0, 2).flatMap(({ text }) => payloads(JSON.parse(text).notifications)).map(text => text[0]), ['0', '1', '2', '3'])
})

t.test('is deleted as the API does', async t => {
  const proxy = await startChannelProxy(t, { limits: { pollWaitMs: 3_000 } })
  t.match(await proxy.ask('ada', 'DELETE', '/v2/notification/pull'), { status: 200, text: 'ALREADY_DELETED' })
  const open = pull(proxy, 'ada')
  await polls(proxy, 1)
  t.match(await proxy.ask('ada', 'GET', '/v2/notification/channel'), { text: '{"delivery_mechanism":"LONG_POLLING"}' })
  t.match(await proxy.ask('ada', 'DELETE', '/v2/notification/pull'), { status: 200, text: 'REMOVED' })
  t.equal((await open).status, 204)
  t.same(proxy.api.received.filter(({ url }) => url.includes('pull')), [], 'the API never hears of it')
})

t.test('the end of the proxy ends a poll', async t => {
  const proxy = await startChannelProxy(t, { limits: { pollWaitMs: 30_000 } })
  const open = pull(proxy, 'ada')
  await polls(proxy, 1)
  await proxy.close()
  t.equal((await open).status, 204)
})
