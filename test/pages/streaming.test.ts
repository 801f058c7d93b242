import { request, type IncomingMessage } from 'node:http'
import t from 'tap'
import { ask } from '../support/client.ts'
import { idOf, pagesById, startListingApi } from '../support/listing-api.ts'
import { startPagesProxy } from '../support/pages-proxy.ts'
import { waitFor } from '../support/wait-for.ts'

const listPath = '/_proxy/pages/v3/things'

/** A client whose answer is read by hand. */
function open (url: string, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => request(url + path, { agent: false }, resolve).on('error', reject).end())
}

function next (answer: IncomingMessage): Promise<string> {
  return new Promise(resolve => answer.once('data', (chunk: Buffer) => resolve(chunk.toString('utf8'))))
}

t.test('an item goes out when it is here, not when its page is', async t => {
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  const api = await startListingApi(t, ({ response }) => {
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.write('{"data":[{"id":"a"},{"id":"b"},{"id":')
    held.then(() => response.end('"c"}],"has_more":false}'))
    return undefined
  })
  const proxy = await startPagesProxy(t, { api })
  const answer = await open(proxy.url, listPath)
  t.equal(await next(answer), '{"id":"a"}\n{"id":"b"}\n')
  const rest = next(answer)
  release()
  t.equal(await rest, '{"id":"c"}\n')
})

t.test('the next page is asked for while this one is still being written', async t => {
  const byId = pagesById(6)
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  const api = await startListingApi(t, asked => {
    if (asked.page === 0) return byId(asked)
    held.then(() => asked.response.end(byId(asked)))
    return undefined
  })
  const proxy = await startPagesProxy(t, { api })
  const answer = await open(proxy.url, `${listPath}?limit=2`)
  await waitFor('the second page', () => api.seen.length, count => count === 2)
  t.equal(api.seen.length, 2, 'and no further than that')
  const rows = await proxy.trail(rows => rows.length === 3)
  t.strictSame(rows.map(({ kind, outcome }) => [kind, outcome]), [['request', 'open'], ['page', 'answered'], ['page', 'open']], 'each on the trail before it is sent, the list first')
  release()
  let text = ''
  for await (const chunk of answer) text += String(chunk)
  t.equal(text.split('\n').length - 1, 6)
})

t.test('a reader that stops holds the API back, and gets everything when it goes on', async t => {
  const pages = 60
  const big = 'x'.repeat(10_000)
  const api = await startListingApi(t, pagesById(pages * 100, index => JSON.stringify({ id: idOf(index), big })))
  const proxy = await startPagesProxy(t, { api })
  const answer = await open(proxy.url, `${listPath}?limit=100`)
  answer.pause()
  let before = -1
  const stalled = await waitFor('the stall', async () => {
    before = api.seen.length
    await new Promise(resolve => setTimeout(resolve, 250))
    return api.seen.length
  }, count => count > 0 && count === before, 20_000)
  t.ok(stalled < 30, `${stalled} of ${pages} pages of 1 MB were fetched, most of them into the kernel's buffers`)
  let bytes = 0
  let lines = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines++
  }
  t.equal(lines, pages * 100)
  t.ok(bytes > pages * 1_000_000)
})

t.test('a client that leaves ends the page that is under way, and no other is asked for', async t => {
  const byId = pagesById(100)
  const { promise: aborted, resolve: sayAborted } = Promise.withResolvers<void>()
  const api = await startListingApi(t, asked => {
    if (asked.page === 0) return byId(asked)
    asked.response.on('close', () => { if (!asked.response.writableFinished) sayAborted() })
    asked.response.write('{"data":[{"id":"z"},')
    return undefined
  })
  const proxy = await startPagesProxy(t, { api })
  const answer = await open(proxy.url, `${listPath}?limit=2`)
  answer.on('error', () => {})
  await next(answer)
  await waitFor('the second page', () => api.seen.length, count => count === 2)
  answer.destroy()
  await aborted
  const rows = await proxy.trail(rows => rows.length === 3 && rows.every(({ outcome }) => outcome !== 'open'))
  t.strictSame(rows.map(({ kind, outcome }) => [kind, outcome]), [['request', 'client_aborted'], ['page', 'answered'], ['page', 'client_aborted']])
  t.equal(api.seen.length, 2)
  t.equal((proxy.app.trail as { openEntries?: number }).openEntries, 0, 'nothing is left open')
})

t.test('a client that leaves before the first page has begun ends it too', async t => {
  const { promise: aborted, resolve: sayAborted } = Promise.withResolvers<void>()
  const api = await startListingApi(t, ({ response }) => { response.on('close', sayAborted) })
  const proxy = await startPagesProxy(t, { api })
  const asking = request(proxy.url + listPath, { agent: false }).on('error', () => {})
  asking.end()
  await waitFor('the page', () => api.seen.length, count => count === 1)
  asking.destroy()
  await aborted
  const rows = await proxy.trail(rows => rows.length === 2 && rows.every(({ outcome }) => outcome !== 'open'))
  t.strictSame(rows.map(({ outcome }) => outcome), ['client_aborted', 'client_aborted'])
  t.notMatch(proxy.log(), /"level":"(?:warn|error)"/, 'nothing has failed')
})

t.test('each page is on the trail, under the list it was fetched for', async t => {
  const api = await startListingApi(t, pagesById(5))
  const proxy = await startPagesProxy(t, { api })
  const answer = await ask(proxy.url, `${listPath}?limit=2&name__eq=a%2520b`, { headers: { 'user-agent': 'test/1' } })
  const rows = await proxy.trail(rows => rows.length === 4 && rows.every(({ outcome }) => outcome !== 'open'))
  const [list, ...pages] = rows
  t.match(list, { id: answer.headers['x-proxy-request-id'], kind: 'request', path: listPath, query: 'limit=2&name__eq=a%2520b', status: 200, outcome: 'answered', attempts: 0, bytes_out: answer.body.length })
  for (const [index, page] of pages.entries()) {
    t.match(page, { kind: 'page', parent_id: list?.id, member: 'local', method: 'GET', path: '/v3/things', status: 200, outcome: 'answered', attempts: 1, client_agent: 'test/1', policy_decision: 'allow', region: list?.region ?? '' })
    t.equal(page.query, api.queries()[index])
    t.match(page.upstream_request_id, /^f{28}000[0-9]$/)
    t.match(page.key_fingerprint, /^sha256:/)
    t.ok(page.bytes_out > 50 && (page.ttfb_ms ?? -1) >= 0 && (page.duration_ms ?? -1) >= (page.ttfb_ms ?? 0))
  }
})

t.test('an item that is larger than anything that is held passes through, whole', async t => {
  const huge = 24 * 1024 * 1024
  const api = await startListingApi(t, ({ response }) => {
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.write('{"data":[{"id":"a","big":"')
    for (let sent = 0; sent < huge; sent += 1024 * 1024) response.write(Buffer.alloc(1024 * 1024, 120))
    response.end('"},{"id":"b"}],"has_more":false}')
  })
  const proxy = await startPagesProxy(t, { api })
  const answer = await ask(proxy.url, listPath)
  const items = answer.text.split('\n')
  t.strictSame([items.length, items[0]?.length, items[1], items[2]], [3, huge + 19, '{"id":"b"}', ''])
})

t.test('one that breaks off is followed by the error on a line of its own, and breaks a list', async t => {
  const api = await startListingApi(t, ({ response }) => {
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.write('{"data":[{"id":"a","big":"')
    response.write(Buffer.alloc(6 * 1024 * 1024, 120), () => { setTimeout(() => response.destroy(), 100) })
  })
  const proxy = await startPagesProxy(t, { api })
  const answer = await ask(proxy.url, listPath)
  const items = answer.text.split('\n')
  t.match(JSON.parse(items[1] ?? ''), { object: 'error', code: 502 })
  const list = await ask(proxy.url, listPath, { headers: { accept: 'application/json' } })
  t.notOk(list.complete, 'the connection breaks: what was sent can\'t be made a JSON text any more')
})
