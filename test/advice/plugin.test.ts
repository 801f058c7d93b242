import t from 'tap'
import { explain } from '../../src/trail/explanations/explain.ts'
import { ask } from '../support/client.ts'
import { pagesById, startListingApi } from '../support/listing-api.ts'
import { startPagesProxy } from '../support/pages-proxy.ts'
import { makeAccessKey } from '../support/proxy.ts'
import { parseTokens } from '../support/structured-field.ts'

const codesIn = (header: unknown) => typeof header === 'string' ? parseTokens(header).map(([code]) => code) : []

t.test('advice is in the header, the log and the trail, and what goes on is unchanged', async t => {
  const api = await startListingApi(t, pagesById(3))
  const proxy = await startPagesProxy(t, { api })
  const answer = await ask(proxy.url, '/v3/devices?limit=1&order=newest&filter=a__b%3Dc')
  t.equal(answer.status, 200)
  t.strictSame(codesIn(answer.headers['x-proxy-advice']), ['limit_out_of_range', 'order_unknown', 'filter_operator_unknown'])
  t.strictSame(api.seen.map(({ url }) => url), ['/v3/devices?limit=1&order=newest&filter=a__b%3Dc'])
  t.notOk(api.seen[0]?.rawHeaders.some(name => /advice/i.test(name)))
  const [row] = await proxy.trail(rows => rows.length === 1 && rows[0]?.outcome === 'answered')
  t.equal(row?.notes, 'limit_out_of_range,order_unknown,filter_operator_unknown')
  t.match(proxy.log(), /"rule":"limit_out_of_range","advice":"limit takes.*"source":"https:.*"member":"local"/)
})

t.test('a request with nothing to say has no header and no note', async t => {
  const api = await startListingApi(t, pagesById(3))
  const proxy = await startPagesProxy(t, { api })
  t.equal((await ask(proxy.url, '/v3/devices?limit=2')).headers['x-proxy-advice'], undefined)
  t.equal((await proxy.trail(rows => rows.length === 1))[0]?.notes, '')
})

t.test('the log has each piece of advice once', async t => {
  const api = await startListingApi(t, pagesById(3))
  const proxy = await startPagesProxy(t, { api })
  for (let time = 0; time < 3; time++) t.strictSame(codesIn((await ask(proxy.url, '/v3/devices?limit=0')).headers['x-proxy-advice']), ['limit_out_of_range'])
  await ask(proxy.url, '/v3/devices?order=x')
  t.equal(proxy.log().split('advice on a request').length - 1, 2)
})

t.test('whole lists and refusals of our own carry it too', async t => {
  const api = await startListingApi(t, pagesById(3))
  const proxy = await startPagesProxy(t, { api })
  const list = await ask(proxy.url, '/_proxy/pages/v3/devices?created_at__gte=yesterday')
  t.equal(list.status, 200)
  t.strictSame(codesIn(list.headers['x-proxy-advice']), ['date_unreadable'])
  const refused = await ask(proxy.url, '/_proxy/pages/v3/devices?max_items=0&limit=0')
  t.equal(refused.status, 400)
  t.strictSame(codesIn(refused.headers['x-proxy-advice']), ['limit_out_of_range'])
})

t.test('a key that was taken out of the URL is said, once on the trail', async t => {
  const api = await startListingApi(t, pagesById(3))
  const proxy = await startPagesProxy(t, { api })
  const answer = await ask(proxy.url, `/v3/devices?apiKey=${makeAccessKey('K')}&limit=0`)
  t.strictSame(codesIn(answer.headers['x-proxy-advice']), ['limit_out_of_range', 'key_removed_from_query'])
  const [row] = await proxy.trail(rows => rows.length === 1)
  t.equal(row?.notes, 'key_removed_from_query,limit_out_of_range')
})

t.test('an answer that the documentation explains by its status alone has the trail\'s explanation', async t => {
  const statuses: Record<string, number> = { '/v3/devices': 429, '/v2/notification/websocket-connect': 429, '/v3/users': 401, '/v3/metrics': 404 }
  const api = await startListingApi(t, ({ path, response }) => {
    response.statusCode = statuses[path] ?? 200
    return {}
  })
  const proxy = await startPagesProxy(t, { api, flags: { '--channel': 'off' } })
  const told = async (path: string) => codesIn((await ask(proxy.url, path)).headers['x-proxy-advice'])
  t.strictSame(await told('/v3/devices?limit=0'), ['limit_out_of_range', 'not_a_rate_limit'])
  t.strictSame(await told('/v2/notification/websocket-connect'), ['handshake_in_progress'])
  t.strictSame(await told('/v3/users'), ['key_not_accepted'])
  t.strictSame(await told('/v3/metrics'), [], 'a 404 has many reasons')
  const rule = explain({ outcome: 'answered', status: 401, error_type: null, path: '/v3/users', query: '', close_code: null, async_status: null, kind: 'request' })
  t.strictSame(parseTokens(String((await ask(proxy.url, '/v3/users')).headers['x-proxy-advice'])), [[rule?.rule, `${rule?.likely} ${rule?.next}`]])
})

t.test('without a shared channel, replacing what others subscribed to is worth a word', async t => {
  const api = await startListingApi(t, () => ({}))
  const proxy = await startPagesProxy(t, { api, flags: { '--channel': 'off' } })
  t.strictSame(codesIn((await ask(proxy.url, '/v2/subscriptions', { method: 'PUT', body: '[]' })).headers['x-proxy-advice']), ['replaces_presubscriptions'])
})
