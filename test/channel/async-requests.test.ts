import { spawn } from 'node:child_process'
import t from 'tap'
import { startSandbox } from '../../src/sandbox/index.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findSensor, startChannelProxy, type ChannelProxy } from '../support/channel-proxy.ts'
import { waitFor } from '../support/wait-for.ts'

const read = (path: string) => ({ method: 'GET', uri: path })

async function startConnected (t: Parameters<typeof startChannelProxy>[0], options: Parameters<typeof startChannelProxy>[1] = {}) {
  const proxy = await startChannelProxy(t, options)
  const [ada, bob] = [proxy.connect('ada'), proxy.connect('bob')]
  await Promise.all([ada.opened, bob.opened, proxy.ready()])
  return { proxy, ada, bob, ...findSensor(proxy.api) }
}

const askDevice = (proxy: ChannelProxy, member: string, device: string, path: string, query: string, headers = {}) =>
  proxy.ask(member, 'POST', `/v2/device-requests/${device}${query}`, read(path), headers)

t.test('two members may use the same id, and each hears only its own answer', async t => {
  const { proxy, ada, bob, device, path } = await startConnected(t)
  const other = findSensor(proxy.api, 1)
  t.equal((await askDevice(proxy, 'ada', device, path, '?async-id=1&retry=0')).status, 202)
  t.equal((await askDevice(proxy, 'bob', other.device, other.path, '?async-id=1')).status, 202)
  t.match(await ada.until('async-responses', 1), [{ id: '1', status: 200, payload: String }])
  t.match(await bob.until('async-responses', 1), [{ id: '1', status: 200, payload: String }])
  t.same([ada.items('async-responses').length, bob.items('async-responses').length], [1, 1])
  const targets = proxy.api.received.filter(({ method }) => method === 'POST').map(({ url }) => url)
  t.match(targets[0], new RegExp(`^/v2/device-requests/${device}\\?async-id=p_[\\w-]{32}&retry=0$`))
  t.not(targets[0]?.split('async-id=')[1]?.slice(0, 34), targets[1]?.split('async-id=')[1])
  t.equal(String(proxy.api.received.find(({ method }) => method === 'POST')?.body), JSON.stringify(read(path)), 'the body goes on as it is')
})

t.test('two programs of one member both get the answer', async t => {
  const { proxy, ada, device, path } = await startConnected(t)
  const second = proxy.connect('ada')
  await second.opened
  await askDevice(proxy, 'ada', device, path, '?async-id=x')
  t.match(await ada.until('async-responses', 1), [{ id: 'x' }])
  t.match(await second.until('async-responses', 1), [{ id: 'x' }])
})

t.test('the trail links a request with its answer', async t => {
  const { proxy, device, path, ada } = await startConnected(t)
  const { headers } = await askDevice(proxy, 'ada', device, path, '?async-id=7')
  await ada.until('async-responses', 1)
  const id = headers['x-proxy-request-id']
  const rows = await proxy.rows(rows => rows.some(row => row.id === id && row.async_status === 200))
  const row = rows.find(row => row.id === id)
  t.match(row, { async_id: /^p_/, async_status: 200, status: 202, member: 'ada', query: 'async-id=7' })
  t.ok((row?.async_latency_ms ?? 0) > 0)
  t.ok(headers['x-request-id'])
  t.equal(row?.upstream_request_id, headers['x-request-id'])
})

t.test('a request that the API refuses is passed on, and nothing is kept of it', async t => {
  const { proxy, device, path } = await startConnected(t)
  for (const [query, uri, status, text] of [
    ['?async-id=1', '/no/such/path', 404, 'URI_PATH_DOES_NOT_EXISTS'],
    ['?async-id=%20', path, 400, 'MALFORMED_ASYNC_ID'],
    ['', path, 400, 'MALFORMED_ASYNC_ID'],
    ['?async-id=1&retry=99', path, 400, 'INVALID_RETRY']
  ] as const) {
    const answer = await askDevice(proxy, 'ada', device, uri, query)
    t.same([answer.status, answer.text], [status, text], query)
  }
  await waitFor('the table', () => proxy.status()['unanswered_requests'], count => count === 0)
})

t.test('an id that stands in the query twice is refused: which one the API takes is unknown', async t => {
  const { proxy, device, path } = await startConnected(t)
  const { length } = proxy.api.received
  const answer = await askDevice(proxy, 'ada', device, path, '?async-id=1&async%2Did=2')
  t.same([answer.status, JSON.parse(answer.text).type], [400, 'validation_error'])
  t.equal(proxy.api.received.length, length)
})

t.test('what cannot reach the API is not kept', async t => {
  const { proxy, device, path } = await startConnected(t)
  await proxy.api.close()
  t.equal((await askDevice(proxy, 'ada', device, path, '?async-id=1')).status, 502)
  await waitFor('the table', () => proxy.status()['unanswered_requests'], count => count === 0)
})

t.test('a member can\'t have more requests open than it may', async t => {
  const { proxy, device, path } = await startConnected(t, { limits: { askedPerMember: 2 } })
  proxy.api.deviceRequests.setReachability(device, 'asleep')
  for (const id of ['1', '2']) t.equal((await askDevice(proxy, 'ada', device, path, `?async-id=${id}`)).status, 202)
  const refused = await askDevice(proxy, 'ada', device, path, '?async-id=3')
  t.same([refused.status, refused.headers['x-proxy-error'], refused.headers['retry-after']], [429, 'concurrency_limited', '60'])
  t.equal((await askDevice(proxy, 'bob', device, path, '?async-id=3')).status, 202)
})

t.test('the deprecated way: answers find whoever got the id in the 202', async t => {
  const { proxy, ada, bob, device, path } = await startConnected(t)
  const answer = await proxy.ask('ada', 'GET', `/v2/endpoints/${device}${path}`)
  t.equal(answer.status, 202)
  const id = JSON.parse(answer.text)['async-response-id'] as string
  t.match(await ada.until('async-responses', 1), [{ id, status: 200 }])
  t.equal(bob.items('async-responses').length, 0)
  const rows = await proxy.rows(rows => rows.some(row => row.async_id === id && row.async_status === 200))
  t.match(rows.find(row => row.async_id === id), { method: 'GET', outcome: 'answered', bytes_out: answer.body.length })
})

t.test('also when the answer overtakes the 202', async t => {
  const { proxy, ada, device, path } = await startConnected(t, { sandbox: { deviceReplyMs: 0, batchMs: 0 } })
  proxy.api.misbehave({ path: `/v2/endpoints/${device}*`, latencyMs: 0, chunkBytes: 10, chunkDelayMs: 60 })
  for (let n = 0; n < 3; n++) t.equal((await proxy.ask('ada', 'GET', `/v2/endpoints/${device}${path}`)).status, 202)
  await ada.until('async-responses', 3)
})

t.test('other answers of the deprecated way pass as they are', async t => {
  const { proxy, device, path } = await startConnected(t)
  for (const [method, target, status] of [['GET', `/v2/endpoints/${device}${path}?cacheOnly=true`, 205], ['DELETE', `/v2/endpoints/${'f'.repeat(32)}${path}`, 410], ['GET', `/v2/endpoints/${device}`, 200], ['GET', `/v2/endpoints/${device}/no/such`, 404]] as const) {
    t.equal((await proxy.ask('ada', method, target)).status, status, target)
  }
  const written = await proxy.ask('ada', 'PUT', `/v2/endpoints/${device}${path}`, '21.5', { 'content-type': 'text/plain' })
  t.equal(written.status, 202)
  t.match(proxy.api.received.at(-1), { headers: { 'content-type': 'text/plain' } })
  t.equal(String(proxy.api.received.at(-1)?.body), '21.5')
})

t.test('Prefer: wait answers when the device did', async t => {
  const { proxy, ada, device, path } = await startConnected(t)
  const answer = await askDevice(proxy, 'ada', device, path, '', { prefer: 'wait=20' })
  t.equal(answer.status, 200)
  t.equal(answer.headers['preference-applied'], 'wait=20')
  const body = JSON.parse(answer.text) as Record<string, unknown>
  t.match(body, { status: 200, payload: String, ct: 'text/plain', id: /^p_/ })
  t.equal(body['payload-decoded'], Buffer.from(body['payload'] as string, 'base64').toString())
  t.equal(ada.items('async-responses').length, 0, 'it doesn\'t come a second time')
  t.notOk(proxy.api.received.find(({ method }) => method === 'POST')?.headers['prefer'])
  const row = (await proxy.rows(rows => rows.some(({ async_status: status }) => status === 200))).find(({ async_status: status }) => status === 200)
  t.match(row, { status: 200, outcome: 'answered', attempts: 1, upstream_request_id: answer.headers['x-request-id'] })
})

t.test('Prefer: wait needs no listener, and makes the channel first', async t => {
  const proxy = await startChannelProxy(t)
  const { device, path } = findSensor(proxy.api)
  const answer = await askDevice(proxy, 'ada', device, path, '?async-id=mine', { prefer: 'wait=20' })
  t.match(JSON.parse(answer.text), { id: 'mine', status: 200 })
  t.same(proxy.api.received.map(({ method }) => method).slice(0, 1), ['PUT'])
})

t.test('what the device refuses is an answer too', async t => {
  const { proxy, device, path } = await startConnected(t)
  const answer = await proxy.ask('ada', 'POST', `/v2/device-requests/${device}`, { method: 'POST', uri: path }, { prefer: 'wait=5' })
  t.same([answer.status, JSON.parse(answer.text).status], [200, 405])
  const refused = await askDevice(proxy, 'ada', device, '/no/such', '', { prefer: 'wait=5' })
  t.same([refused.status, refused.text], [404, 'URI_PATH_DOES_NOT_EXISTS'], 'what the API refuses is passed on')
})

t.test('when the time is up the request stands, and its answer comes over the channel', async t => {
  const { proxy, ada, device, path } = await startConnected(t)
  proxy.api.deviceRequests.setReachability(device, 'asleep')
  const answer = await askDevice(proxy, 'ada', device, path, '?async-id=later', { prefer: 'wait=1' })
  t.same([answer.status, answer.headers['x-proxy-error']], [504, 'device_timeout'])
  t.match(JSON.parse(answer.text).message, /async-id later/)
  proxy.api.deviceRequests.setReachability(device, 'reachable')
  t.match(await ada.until('async-responses', 1), [{ id: 'later', status: 200 }])
})

t.test('when the client leaves, its answer comes over the channel', async t => {
  const { proxy, ada, device, path } = await startConnected(t)
  proxy.api.deviceRequests.setReachability(device, 'asleep')
  const gone = new AbortController()
  const body = JSON.stringify(read(path))
  const asked = fetch(`${proxy.url}/v2/device-requests/${device}?async-id=left`, { method: 'POST', signal: gone.signal, body, headers: { authorization: 'Bearer ada', prefer: 'wait=60' } })
  await proxy.api.waitFor(({ method, status }) => method === 'POST' && status !== 599)
  await waitFor('the request', () => proxy.api.deviceRequests.queued(device), count => count === 1)
  gone.abort()
  await asked.catch(() => {})
  await waitFor('the leave', () => proxy.entries.find(({ async_id: id }) => id !== null)?.outcome, outcome => outcome === 'client_aborted')
  proxy.api.deviceRequests.setReachability(device, 'reachable')
  t.match(await ada.until('async-responses', 1), [{ id: 'left', status: 200 }])
})

t.test('an answer that comes after a restart finds whoever asked before it', async t => {
  const api = await startSandbox({ quiet: true, devices: 20, deviceReplyMs: 5 })
  const folder = mkdtempSync(join(tmpdir(), 'izuma-channel-'))
  t.teardown(async () => {
    await api.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const before = await startChannelProxy(t, { api, folder })
  const ada = before.connect('ada')
  await Promise.all([ada.opened, before.ready()])
  const { device, path } = findSensor(api)
  api.deviceRequests.setReachability(device, 'asleep')
  t.equal((await askDevice(before, 'ada', device, path, '?async-id=over')).status, 202)
  await before.close()
  t.equal((await ada.closed).code, 1001)
  const after = await startChannelProxy(t, { api, folder })
  const bob = after.connect('bob')
  await Promise.all([bob.opened, after.ready()])
  api.deviceRequests.setReachability(device, 'reachable')
  await waitFor('the answer', () => after.status()['unanswered_requests'], count => count === 0)
  t.match(await after.connect('ada').until('async-responses', 1), [{ id: 'over', status: 200 }], 'though it was away when it came')
  t.equal(bob.items('async-responses').length, 0)
})

t.test('kill -9 loses no request that was let through', async t => {
  const api = await startSandbox({ quiet: true, devices: 20 })
  const folder = mkdtempSync(join(tmpdir(), 'izuma-channel-'))
  t.teardown(async () => {
    await api.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const sensors = Array.from({ length: 4 }, (_, n) => findSensor(api, n))
  for (const { device } of sensors) api.deviceRequests.setReachability(device, 'asleep')
  const support = new URL('../support/channel-proxy.ts', import.meta.url).href
  const code = `
    const { startChannelProxy } = await import(${JSON.stringify(support)})
    const proxy = await startChannelProxy({ teardown () {} }, { folder: ${JSON.stringify(folder)}, api: ${JSON.stringify({ origin: api.origin, accessKey: api.accessKey, caPem: api.caPem })} })
    process.stdout.write(proxy.url + '\\n')`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise(resolve => child.once('close', resolve))
  const url = await new Promise<string>(resolve => child.stdout.once('data', chunk => resolve(String(chunk).trim())))
  await fetch(`${url}/v2/notification/websocket`, { method: 'PUT', headers: { authorization: 'Bearer ada' } })
  const accepted: string[] = []
  let killed = false
  const ask = async (n: number) => {
    const { device, path } = sensors[n % 4] as { device: string, path: string }
    const { status } = await fetch(`${url}/v2/device-requests/${device}?async-id=ask-${n}`, { method: 'POST', body: JSON.stringify(read(path)), headers: { authorization: 'Bearer ada' } })
    if (status === 202) accepted.push(`ask-${n}`)
    if (accepted.length === 40 && !killed) killed = child.kill('SIGKILL')
  }
  await Promise.allSettled(Array.from({ length: 80 }, (_, n) => ask(n)))
  await ended
  t.ok(accepted.length >= 40)
  const after = await startChannelProxy(t, { api, folder })
  t.match(await after.connect('ada').closed, { code: 1012 }, 'the killed one may have had events')
  const ada = after.connect('ada')
  await Promise.all([ada.opened, after.ready()])
  for (const { device } of sensors) api.deviceRequests.setReachability(device, 'reachable')
  const answered = await waitFor('the answers', () => ada.items('async-responses').map(item => (item as { id: string }).id), ids => accepted.every(id => ids.includes(id)))
  t.equal(new Set(answered).size, answered.length, 'each once')
})

t.test('answers to requests made outside the proxy reach nobody, and are counted', async t => {
  const { proxy, ada, device, path } = await startConnected(t, { limits: { earlyAnswerMs: 300 } })
  const { askSandbox } = await import('../support/sandbox-client.ts')
  t.equal((await askSandbox(proxy.api, `/v2/device-requests/${device}?async-id=foreign`, { method: 'POST', body: JSON.stringify(read(path)) })).status, 202)
  await waitFor('the count', () => proxy.status()['unclaimed_answers'], count => count === 1)
  t.equal(ada.items('async-responses').length, 0)
})
