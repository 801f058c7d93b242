import { createServer, request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { TrailRecord } from '../../src/trail/record.ts'
import { noBrowser, startBrowser } from '../support/browser.ts'
import { notify, payloads, startChannelProxy, type ChannelProxy } from '../support/channel-proxy.ts'
import { waitFor } from '../support/wait-for.ts'

interface Event { id: string, name: string, data: string }

/** An event stream as a client reads it, by the rules of the HTML standard. */
class Stream {
  readonly events: Event[] = []
  readonly ended: Promise<void>
  text = ''
  whole = ''
  response: IncomingMessage | undefined
  readonly #request

  constructor (proxy: ChannelProxy, member: string, headers: Record<string, string> = {}, query = '') {
    const { hostname, port } = new URL(proxy.url)
    this.#request = request({ hostname, port, agent: false, path: `/_proxy/notifications${query}`, headers: { authorization: `Bearer ${member}`, ...headers } })
    this.ended = new Promise(resolve => {
      this.#request.on('error', () => resolve()).on('response', response => {
        this.response = response
        response.on('data', chunk => this.#read(String(chunk))).on('error', () => {}).on('close', resolve)
      })
    })
    this.#request.end()
  }

  #read (chunk: string): void {
    this.text += chunk
    this.whole += chunk
    for (let end = this.text.indexOf('\n\n'); end !== -1; end = this.text.indexOf('\n\n')) {
      const fields = this.text.slice(0, end).split('\n').map(line => /^([^:]*): ?(.*)$/.exec(line)?.slice(1) ?? [line, ''])
      const all = (name: string) => fields.filter(([field]) => field === name).map(([, value]) => value)
      this.text = this.text.slice(end + 2)
      if (all('data').length > 0) this.events.push({ id: all('id')[0] ?? '', name: all('event')[0] ?? 'message', data: all('data').join('\n') })
    }
  }

  named (name: string): Event[] { return this.events.filter(event => event.name === name) }

  heard (): string[] { return this.named('message').flatMap(({ data }) => payloads(JSON.parse(data).notifications ?? [])) }

  async until (count: number): Promise<string[]> { return await waitFor(`${count} events`, () => this.heard(), heard => heard.length >= count) }

  close (): void { this.#request.destroy() }
}

async function startStream (t: Parameters<typeof startChannelProxy>[0], options = {}) {
  const proxy = await startChannelProxy(t, options)
  const stream = new Stream(proxy, 'ada')
  t.teardown(() => stream.close())
  await proxy.ready()
  return { proxy, stream }
}

t.test('who is cut off before the first event comes back to where it began', async t => {
  const { proxy, stream } = await startStream(t)
  const [, id = ''] = await waitFor('an id', () => /\nid: (\S+)/.exec(stream.whole) ?? [], found => found.length > 0)
  t.same(stream.named('message'), [])
  stream.close()
  await stream.ended
  notify(proxy.api, 'meanwhile')
  const again = new Stream(proxy, 'ada', { 'Last-Event-ID': id })
  t.teardown(() => again.close())
  t.same(await again.until(1), ['meanwhile'])
})

t.test('carries the API\'s messages, and says how the channel is', async t => {
  const { proxy, stream } = await startStream(t)
  notify(proxy.api, 'x')
  t.same(await stream.until(1), ['x'])
  t.match(stream.response?.headers, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no', 'x-proxy-request-id': /^[0-9a-f]{32}$/ })
  t.equal(JSON.parse(stream.named('channel').at(-1)?.data ?? '').state, 'open')
})

t.test('who listens is in the trail while it lasts', async t => {
  const { proxy, stream } = await startStream(t)
  const socket = proxy.connect('grace')
  await socket.opened
  const listeners = (rows: TrailRecord[]) => rows.filter(({ member, path }) => member !== '' && /notifications$|websocket-connect$/.test(path))
  const running = listeners(await proxy.rows(rows => listeners(rows).length === 2))
  t.match(running.map(({ member, kind, outcome }) => [member, kind, outcome]).sort(), [['ada', 'request', 'open'], ['grace', 'websocket', 'open']])
  stream.close()
  await socket.close()
  const ended = listeners(await proxy.rows(rows => listeners(rows).every(({ outcome }) => outcome !== 'open')))
  t.match(ended.map(({ member, outcome, close_code: code }) => [member, outcome, code]).sort(), [['ada', 'client_aborted', null], ['grace', 'own', 1005]])
})

t.test('goes on behind the event a client had last', async t => {
  const { proxy, stream } = await startStream(t)
  for (let n = 0; n < 5; n++) {
    notify(proxy.api, String(n))
    await stream.until(n + 1)
  }
  const third = stream.named('message')[2]?.id as string
  stream.close()
  t.same(await new Stream(proxy, 'ada', { 'last-event-id': third }).until(2), ['3', '4'])
  t.same(await new Stream(proxy, 'ada', {}, `?after=${third}`).until(2), ['3', '4'])
})

t.test('a gap is an event of its own: what was overwritten, what an earlier process had', async t => {
  const { proxy, stream } = await startStream(t, { environment: { PROXY_CHANNEL_REPLAY: '4KiB' } })
  for (let n = 0; n < 20; n++) {
    notify(proxy.api, String(n).padEnd(300, '.'))
    await stream.until(n + 1)
  }
  const late = new Stream(proxy, 'ada', { 'last-event-id': stream.named('message')[0]?.id as string })
  const heard = await late.until(3)
  t.match(late.events[1], { name: 'gap', data: '{"reason":"overflow"}' })
  t.ok(late.events[1]?.id)
  t.equal(heard.at(-1)?.slice(0, 2), '19')
  t.same(heard, stream.heard().slice(-heard.length), 'from there on nothing is missing')
  const stranger = new Stream(proxy, 'ada', { 'last-event-id': 'another-7' })
  await stranger.until(3)
  t.match(stranger.named('gap'), [{ data: '{"reason":"proxy_restarted"}' }])
})

t.test('the id of a gap is one to go on from', async t => {
  const { proxy, stream } = await startStream(t)
  notify(proxy.api, 'x')
  await stream.until(1)
  const late = new Stream(proxy, 'ada', { 'last-event-id': 'another-7' })
  await late.until(1)
  const again = new Stream(proxy, 'ada', { 'last-event-id': late.named('gap')[0]?.id as string })
  t.same(await again.until(1), ['x'])
  t.equal(again.named('gap').length, 0)
})

t.test('ends cleanly when the proxy does, and at once when the token is revoked', async t => {
  const { proxy, stream } = await startStream(t)
  const bob = new Stream(proxy, 'bob')
  await waitFor('both', () => proxy.status().listeners['event_stream'], count => count === 2)
  proxy.revoke('bob')
  await bob.ended
  t.equal(bob.response?.complete, true)
  await proxy.close()
  await stream.ended
  t.equal(stream.response?.complete, true)
})

t.test('a reader that stalls is cut off, without hurting the others', async t => {
  const { proxy, stream } = await startStream(t, { limits: { stallMs: 500, listenerBytes: 64 * 1024 } })
  const slow = new Stream(proxy, 'bob')
  await waitFor('its head', () => slow.response, response => response !== undefined)
  slow.response?.pause()
  const text = 'x'.repeat(100_000)
  for (let n = 0; n < 150; n++) {
    notify(proxy.api, text)
    if (n % 10 === 9) await stream.until(n + 1)
  }
  await waitFor('the cut', () => proxy.status()['stalled_listeners'], count => count === 1)
  slow.response?.resume()
  await slow.ended
  t.equal(slow.response?.complete, false)
  t.equal((await stream.until(150)).length, 150)
})

t.test('a page in a browser hears everything over an event stream and a WebSocket, across a broken connection', { skip: noBrowser }, async t => {
  const page = createServer((_request, response) => response.setHeader('content-type', 'text/html').end('<!doctype html>'))
  await new Promise<void>(resolve => page.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(page.address() as AddressInfo).port}`
  t.teardown(() => page.close())
  const running = await startBrowser(t)
  const proxy = await startChannelProxy(t, { environment: { PROXY_ALLOWED_ORIGINS: origin } })
  const tab = await running.newPage()
  await tab.goto(origin)
  await tab.evaluate(url => {
    // In the page, where the tests' types don't reach.
    const window = globalThis as unknown as Record<string, unknown>
    const stream: string[] = window['stream'] = []
    const socket: string[] = window['socket'] = []
    const read = (text: string) => (JSON.parse(text).notifications ?? []).map((item: { payload: string }) => atob(item.payload))
    const { EventSource } = globalThis as unknown as { EventSource: new (url: string) => { onmessage: (event: { data: string }) => void } }
    new EventSource(`${url}/_proxy/notifications`).onmessage = event => stream.push(...read(event.data))
    const webSocket = new WebSocket(`${url.replace('http', 'ws')}/v2/notification/websocket-connect`, ['wss', 'pelion_izp_' + 'A'.repeat(43)])
    webSocket.onmessage = event => socket.push(...read(String(event.data)))
    webSocket.onopen = () => { window['protocol'] = webSocket.protocol }
  }, proxy.url)
  const heard = (name: string) => tab.evaluate(key => (globalThis as unknown as Record<string, string[]>)[key], name)
  await waitFor('both', () => proxy.status().listeners, ({ websocket, event_stream: stream }) => websocket === 1 && stream === 1)
  await proxy.ready()
  notify(proxy.api, '1')
  await waitFor('the socket', () => heard('socket'), texts => texts?.length === 1)
  t.equal(await heard('protocol'), 'wss')
  await waitFor('the stream', () => heard('stream'), texts => texts?.length === 1)
  proxy.app.server.closeAllConnections()
  notify(proxy.api, '2')
  notify(proxy.api, '3')
  await waitFor('the stream', () => heard('stream'), texts => texts?.length === 3, 10_000)
  t.same(await heard('stream'), ['1', '2', '3'])
})
