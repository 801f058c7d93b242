import t from 'tap'
import { notify, payloads, startChannelProxy } from '../support/channel-proxy.ts'

t.test('every member hears every event over its own virtual channel', async t => {
  const proxy = await startChannelProxy(t)
  const ada = proxy.connect('ada')
  const bob = proxy.connect('bob')
  await Promise.all([ada.opened, bob.opened, proxy.ready()])
  notify(proxy.api, 'one')
  notify(proxy.api, 'two')
  t.same(payloads(await ada.until('notifications', 2)), ['one', 'two'])
  t.same(payloads(await bob.until('notifications', 2)), ['one', 'two'])
  t.equal(proxy.api.connections().webSockets, 1)
})
