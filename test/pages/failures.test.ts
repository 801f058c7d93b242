import t from 'tap'
import { writeFileSync } from 'node:fs'
import { ask } from '../support/client.ts'
import { idOf, pagesById, requestIdOf, startListingApi, type Page } from '../support/listing-api.ts'
import { startPagesProxy } from '../support/pages-proxy.ts'
import { makeAccessKey } from '../support/proxy.ts'

const listPath = '/_proxy/pages/v3/things'
const asList = { headers: { accept: 'application/json' } }
const lines = (text: string) => text.split('\n').slice(0, -1).map(line => JSON.parse(line) as Record<string, unknown>)

/** Pages by id of two items each, until `fails` takes over. */
function failingAt (page: number, fails: Page): Page {
  const byId = pagesById(100)
  return asked => asked.page < page ? byId(asked) : fails(asked)
}

t.test('an error of the API in the middle is the last item, with its request id, and where to go on', async t => {
  const api = await startListingApi(t, failingAt(2, ({ response }) => {
    response.statusCode = 500
    return { object: 'error', code: 500, type: 'internal_error', message: 'Unexpected internal server error.', request_id: requestIdOf(2), fields: [{ name: 'a', message: 'b' }] }
  }))
  const proxy = await startPagesProxy(t, { api })
  const answer = await ask(proxy.url, `${listPath}?limit=2`)
  t.equal(answer.status, 200)
  t.ok(answer.complete)
  const items = lines(answer.text)
  t.equal(items.length, 5)
  t.strictSame(items[4], { object: 'error', code: 500, type: 'internal_error', message: 'Unexpected internal server error. (a: b)', request_id: requestIdOf(2), fields: [{ name: 'a', message: 'b' }], after: idOf(3) })
  const rows = await proxy.trail(rows => rows.length === 4)
  t.match(rows[0], { kind: 'request', status: 200, outcome: 'truncated', error_type: 'internal_error', upstream_request_id: requestIdOf(2) })
  t.match(rows[3], { kind: 'page', status: 500, outcome: 'answered', error_type: 'internal_error', upstream_request_id: requestIdOf(2) })
  t.match(proxy.log(), /a whole list broke off/)
})

t.test('a bare word of a /v2 service in the middle becomes an error object', async t => {
  const byId = pagesById(100)
  const api = await startListingApi(t, asked => {
    if (asked.query.get('after') === null) return byId(asked)
    asked.response.statusCode = 400
    asked.response.setHeader('Content-Type', 'text/plain')
    return 'TOKEN_NOT_FOUND'
  })
  const proxy = await startPagesProxy(t, { api })
  t.match(lines((await ask(proxy.url, `${listPath}?limit=2`)).text).at(-1), { object: 'error', code: 400, type: 'TOKEN_NOT_FOUND', message: 'TOKEN_NOT_FOUND', request_id: requestIdOf(1) })
  const list = JSON.parse((await ask(proxy.url, `${listPath}?limit=2`, asList)).text) as Record<string, unknown>
  t.match(list, { object: 'list', has_more: true, after: idOf(1), error: { object: 'error', code: 400, type: 'TOKEN_NOT_FOUND' } })
})

t.test('a page that breaks off leaves whole items and an error, as lines and as a list', async t => {
  for (const how of ['reset', 'short']) {
    const api = await startListingApi(t, failingAt(1, ({ response }) => {
      const text = `{"data":[{"id":"${idOf(2)}"},{"id":"${idOf(3)}","te`
      response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': how === 'reset' ? text.length + 100 : text.length })
      response.write(text, () => { if (how === 'reset') setTimeout(() => response.destroy(), 50) })
      if (how === 'short') response.end()
    }))
    const proxy = await startPagesProxy(t, { api })
    const answer = await ask(proxy.url, `${listPath}?limit=2`)
    const items = lines(answer.text)
    t.strictSame(items.slice(0, -1).map(({ id }) => id), [0, 1, 2].map(idOf), how)
    t.match(items.at(-1), { object: 'error', code: 502, type: 'upstream_invalid_response', request_id: answer.headers['x-proxy-request-id'], after: idOf(2) })
    const row = (await proxy.trail(rows => rows.length === 3))[2]
    t.match(row, { kind: 'page', status: 200, outcome: 'truncated', error_type: 'upstream_invalid_response' })
    api.seen.length = 0
  }
})

t.test('a list that is one JSON text is valid to its end, with the error in it', async t => {
  const api = await startListingApi(t, failingAt(1, ({ response }) => {
    response.writeHead(200, { 'Content-Length': 1000 })
    response.write('{"data":[{"id":"x"},{"id":"y', () => { setTimeout(() => response.destroy(), 50) })
  }))
  const proxy = await startPagesProxy(t, { api })
  const answer = await ask(proxy.url, `${listPath}?limit=2`, asList)
  const list = JSON.parse(answer.text) as { data: unknown[], error: unknown, has_more: boolean, after: string }
  t.equal(list.data.length, 3)
  t.equal(list.has_more, true)
  t.equal(list.after, 'x')
  t.match(list.error, { object: 'error', code: 502, type: 'upstream_invalid_response', request_id: answer.headers['x-proxy-request-id'] })
})

t.test('loops end: the same after again, a page again, more without a way on', async t => {
  const cases: Array<[name: string, page: Page, items: number]> = [
    ['the API doesn\'t heed after', ({ query }) => ({ data: [{ id: 'a' }, { id: 'b' }], has_more: true, after: query.get('after') }), 2],
    ['the same last id', ({ page }) => ({ data: [{ id: `first-${page}` }, { id: 'b' }], has_more: true }), 4],
    ['a marker again', ({ page }) => ({ data: [{ name: `n${page}` }], has_more: true, continuation_marker: `m${page % 2}` }), 3],
    ['nothing to go on from', () => ({ data: [{ name: 'n' }], has_more: true }), 1],
    ['more, but nothing here', ({ page }) => ({ data: page === 0 ? [{ id: 'a' }] : [], has_more: true }), 1]
  ]
  for (const [name, page, count] of cases) {
    const api = await startListingApi(t, page)
    const proxy = await startPagesProxy(t, { api })
    const items = lines((await ask(proxy.url, listPath)).text)
    t.match(items.at(-1), { object: 'error', code: 502, type: 'upstream_invalid_response', message: /incomplete/ }, name)
    t.equal(items.length - 1, count, `${name}: nothing twice`)
    t.ok(api.seen.length <= 4, `${name}: ${api.seen.length} requests`)
  }
})

t.test('an API that is away is an answer of its own, and in the middle the last item', async t => {
  const api = await startListingApi(t, failingAt(1, ({ response }) => { response.destroy() }))
  const proxy = await startPagesProxy(t, { api })
  t.match(lines((await ask(proxy.url, `${listPath}?limit=2`)).text).at(-1), { object: 'error', code: 502 })
  const first = await ask(proxy.url, `${listPath}?limit=2`)
  t.equal(first.status, 502)
  t.equal(first.headers['x-proxy-error'], 'upstream_invalid_response')
})

t.test('a kept connection that the API closes meanwhile ends nothing: the page is sent once more, and counted', async t => {
  const byId = pagesById(6)
  const api = await startListingApi(t, asked => {
    if (asked.page !== 1) return byId(asked)
    asked.response.socket?.destroy()
    return undefined
  })
  const proxy = await startPagesProxy(t, { api })
  t.strictSame(lines((await ask(proxy.url, `${listPath}?limit=2`)).text).map(({ id }) => id), [0, 1, 2, 3, 4, 5].map(idOf))
  const rows = await proxy.trail(rows => rows.length === 4 && rows.every(({ outcome }) => outcome !== 'open'))
  t.strictSame(rows.map(({ attempts }) => attempts), [0, 1, 2, 1])
})

t.test('our own key leaves the API\'s items and errors', async t => {
  const accessKey = makeAccessKey()
  const api = await startListingApi(t, ({ query, response }) => {
    if (query.get('fail') === null) return `{"data":[{"id":"1","echo":"${accessKey}"}],"has_more":false}`
    response.statusCode = 400
    return `{"object":"error","message":"${accessKey}"}`
  })
  const proxy = await startPagesProxy(t, { api, accessKey })
  for (const query of ['', '?fail=1']) {
    const { text } = await ask(proxy.url, listPath + query)
    t.notMatch(text, accessKey.slice(-32))
    t.match(text, 'access key removed')
  }
})

t.test('a key in the query leaves it on the way to every page', async t => {
  const api = await startListingApi(t, pagesById(4))
  const proxy = await startPagesProxy(t, { api })
  await ask(proxy.url, `${listPath}?a=1&apiKey=${makeAccessKey('K')}&limit=2`)
  t.strictSame(api.queries(), ['a=1&limit=2', `a=1&limit=2&after=${idOf(1)}`])
})

t.test('a drain ends the list between two pages, and says so', async t => {
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  const { promise: asked, resolve: sayAsked } = Promise.withResolvers<void>()
  const byId = pagesById(6)
  const api = await startListingApi(t, question => {
    if (question.page !== 1) return byId(question)
    sayAsked()
    held.then(() => question.response.end(byId(question)))
    return undefined
  })
  const proxy = await startPagesProxy(t, { api })
  const answering = ask(proxy.url, `${listPath}?limit=2`)
  await asked
  proxy.app.health.beginDrain()
  release()
  const items = lines((await answering).text)
  t.equal(items.length, 5)
  t.match(items[4], { object: 'error', code: 503, type: 'draining', after: idOf(3) })
})

t.test('policy is judged on the path of the list, for every page anew', async t => {
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  const byId = pagesById(6)
  const api = await startListingApi(t, question => {
    if (question.page !== 1) return byId(question)
    held.then(() => question.response.end(byId(question)))
    return undefined
  })
  const token = 'izp_' + 'A'.repeat(43)
  const { createHash } = await import('node:crypto')
  const member = (deny: string[]) => ({ members: { ann: { tokens: [{ sha256: createHash('sha256').update(token).digest('hex') }], deny } } })
  const proxy = await startPagesProxy(t, { api, team: member(['/v3/secrets/**', '/v3/secrets']) })
  const headers = { authorization: `Bearer ${token}` }
  const denied = await ask(proxy.url, '/_proxy/pages/v3/secrets', { headers })
  t.equal(denied.status, 403)
  t.equal(denied.headers['x-proxy-error'], 'member_forbidden')
  t.equal((await ask(proxy.url, '/_proxy/pages/v3/things')).status, 401)
  t.equal(api.seen.length, 0)
  const answering = ask(proxy.url, `${listPath}?limit=2`, { headers })
  await waitUntil(() => api.seen.length === 2)
  writeFileSync(proxy.teamFile, JSON.stringify(member(['/v3/things'])))
  proxy.app.team.reload()
  await waitUntil(() => !proxy.app.team.judge({ name: 'ann', role: 'member' }, 'GET', '/v3/things').allowed)
  release()
  const items = lines((await answering).text)
  t.equal(items.length, 5)
  t.match(items[4], { object: 'error', code: 403, type: 'member_forbidden', message: /\/v3\/things/ })
})

t.test('each page counts against the member\'s limits', async t => {
  const api = await startListingApi(t, pagesById(100))
  const token = 'izp_' + 'B'.repeat(43)
  const { createHash } = await import('node:crypto')
  const proxy = await startPagesProxy(t, { api, team: { members: { bob: { tokens: [{ sha256: createHash('sha256').update(token).digest('hex') }], daily: 3, concurrency: 1 } } } })
  const headers = { authorization: `Bearer ${token}` }
  const items = lines((await ask(proxy.url, `${listPath}?limit=2`, { headers })).text)
  t.equal(items.length, 7)
  t.match(items[6], { object: 'error', code: 429, type: 'budget_spent' })
  t.equal(api.seen.length, 3)
  const next = await ask(proxy.url, listPath, { headers })
  t.equal(next.status, 429)
  t.match(next.headers['retry-after'], /^[0-9]+$/)
})

async function waitUntil (isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error('not so within 5 s')
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
