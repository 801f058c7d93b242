import t from 'tap'
import { WebSocket } from 'ws'
import { findSensor, Listening, notify, payloads } from '../support/channel-proxy.ts'
import { ask } from '../support/client.ts'
import { startProduct } from '../support/product.ts'
import { waitFor } from '../support/wait-for.ts'

t.test('the whole proxy: two terminals, one key, both hear everything; one line of curl reads a sensor', async t => {
  const product = await startProduct(t, { sandbox: { quiet: true } })
  const connect = () => new Listening(`${product.url.replace('http', 'ws')}/v2/notification/websocket-connect`, 'anything', {})
  const terminals = [connect(), connect()]
  await Promise.all(terminals.map(({ opened }) => opened))
  await waitFor('the channel', () => product.sandbox.channel(), channel => channel?.connected === true)
  notify(product.sandbox, 'hello')
  for (const terminal of terminals) t.same(payloads(await terminal.until('notifications', 1)), ['hello'])

  const { device, path } = findSensor(product.sandbox)
  const body = JSON.stringify({ method: 'GET', uri: path })
  const answer = await ask(product.url, `/v2/device-requests/${device}`, { method: 'POST', body, headers: { prefer: 'wait=20', 'content-type': 'application/json', 'content-length': body.length } })
  t.equal(answer.status, 200)
  t.equal(typeof JSON.parse(answer.text)['payload-decoded'], 'string')

  const status = JSON.parse((await ask(product.url, '/_proxy/status')).text) as { parts: { channel: unknown } }
  t.match(status.parts.channel, { state: 'ok', ready: true, details: { state: 'open', listeners: { websocket: 2 } } })
  for (const { socket } of terminals) socket.close()
  await waitFor('their end', () => terminals.map(({ socket }) => socket.readyState), states => states.every(state => state === WebSocket.CLOSED))
  const rows = await product.trail(rows => rows.filter(({ kind, outcome }) => kind === 'websocket' && outcome === 'own').length === 2)
  t.same(rows.filter(({ kind }) => kind === 'websocket').map(({ member, outcome, status, close_code: code }) => [member, outcome, status, code]), [['local', 'own', 101, 1005], ['local', 'own', 101, 1005]])
})

t.test('a key that an event holds is masked on its way to members', async t => {
  const product = await startProduct(t, { sandbox: { quiet: true } })
  const ada = new Listening(`${product.url.replace('http', 'ws')}/v2/notification/websocket-connect`, 'anything', {})
  await ada.opened
  await waitFor('the channel', () => product.sandbox.channel(), channel => channel?.connected === true)
  product.sandbox.notify({ kind: 'notifications', item: { ep: 'd', path: '/1', payload: product.sandbox.accessKey } })
  await ada.until('notifications', 1)
  t.notOk(ada.texts.some(text => text.includes(product.sandbox.accessKey)))
})
