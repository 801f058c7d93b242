import t from 'tap'
import { isProxyError } from '../../src/errors.ts'
import { queryAfter, readListRequest, type ListRequest } from '../../src/pages/list-request.ts'
import { choosePageSize } from '../../src/pages/page-size.ts'

function read (path: string, query = '', canonicalPath = path.replaceAll('//', '/')) {
  return readListRequest({ path, query, canonicalPath })
}

function typeOf (read: ReturnType<typeof readListRequest>): string { return isProxyError(read) ? read.type : 'list' }

t.test('the client\'s parameters keep their bytes and order, ours leave, a limit joins', t => {
  const cases: Array<[query: string, forwarded: string]> = [
    ['', 'limit=1000'],
    ['filter=state%3Dregistered%26name%3D%2520a', 'filter=state%3Dregistered%26name%3D%2520a&limit=1000'],
    ['limit=20', 'limit=20'],
    ['limit=5000&order=DESC', 'limit=5000&order=DESC'],
    ['%6Cimit=20', '%6Cimit=20'],
    ['max_items=10', 'limit=10'],
    ['a=1&max_items=1&b=2', 'a=1&b=2&limit=2'],
    ['max_items=999999', 'limit=1000'],
    ['limit=3&max_items=7', 'limit=3'],
    ['a&&b=', 'a&&b=&limit=1000'],
    ['include=total_count&after=01%2B', 'include=total_count&after=01%2B&limit=1000']
  ]
  for (const [query, forwarded] of cases) t.equal((read('/_proxy/pages/v3/devices', query) as ListRequest).query, forwarded, query)
  t.end()
})

t.test('the client\'s own after and max_items are understood', t => {
  const { after, maxItems } = read('/_proxy/pages/v3/devices', 'after=a%2Bb+c&max_items=12') as ListRequest
  t.equal(after, 'a+b c')
  t.equal(maxItems, 12)
  t.equal((read('/_proxy/pages/v3/devices', 'after=') as ListRequest).after, undefined)
  t.equal((read('/_proxy/pages/v3/devices') as ListRequest).maxItems, Infinity)
  for (const bad of ['0', '-1', '1.5', '1e3', 'all', '', '1&max_items=2', '9'.repeat(16)]) t.equal(typeOf(read('/_proxy/pages/v3/devices', `max_items=${bad}`)), 'validation_error', bad)
  t.end()
})

t.test('the path goes on raw, with one slash at its start', t => {
  const cases: Array<[path: string, forwarded: string, canonical: string]> = [
    ['/_proxy/pages/v3/devices', '/v3/devices', '/v3/devices'],
    ['/_proxy/pages/v3/devices/', '/v3/devices/', '/v3/devices/'],
    ['/_proxy/pages//v3/trust-anchors', '/v3/trust-anchors', '/v3/trust-anchors'],
    ['/_proxy/pages//evil.example/v3', '/evil.example/v3', '/evil.example/v3'],
    ['/_proxy/pages/v3//devices', '/v3//devices', '/v3/devices']
  ]
  for (const [path, forwarded, canonical] of cases) t.match(read(path), { path: forwarded, canonicalPath: canonical }, path)
  t.match(read('/_proxy/pages/v3/accounts/a%20b/users', '', '/_proxy/pages/v3/accounts/a b/users'), { path: '/v3/accounts/a%20b/users', canonicalPath: '/v3/accounts/a b/users' })
  t.end()
})

t.test('what is no list is refused before anything is sent', t => {
  const refused: Array<[path: string, type: string, canonical?: string]> = [
    ['/_proxy/pages/', 'not_found'],
    ['/_proxy/pages', 'not_found'],
    ['/_proxy/pages/_proxy', 'not_found'],
    ['/_proxy/pages/_proxy/pages/v3/devices', 'not_found'],
    ['/_proxy/pages/%5fproxy/trail', 'not_found', '/_proxy/pages/_proxy/trail'],
    ['/_proxy/p%61ges/v3/devices', 'not_found', '/_proxy/pages/v3/devices'],
    ['/_proxy/pages/v2/notification/pull', 'validation_error'],
    ['/_proxy/pages//v2/notification/pull', 'validation_error'],
    ['/_proxy/pages/V2/Notification/pull', 'validation_error'],
    ['/_proxy/pages/v%32/notification/pull', 'validation_error', '/_proxy/pages/v2/notification/pull'],
    ['/_proxy/pages/v2/endpoints/0123/3/0/1', 'validation_error'],
    ['/_proxy/pages/v2', 'validation_error'],
    ['/_proxy/pages/v2/device-shared-keys/name', 'validation_error']
  ]
  for (const [path, type, canonical] of refused) t.equal(typeOf(read(path, '', canonical)), type, path)
  for (const path of ['/_proxy/pages/v2/device-shared-keys', '/_proxy/pages/v2/device-shared-keys/', '/_proxy/pages/v3alpha/things', '/_proxy/pages/v4/new']) t.equal(typeOf(read(path)), 'list', path)
  t.end()
})

t.test('the next page is asked for with the same parameters but after', t => {
  t.equal(queryAfter('filter=a%3D%2526&limit=1000', 'x'), 'filter=a%3D%2526&limit=1000&after=x')
  t.equal(queryAfter('after=1&limit=2', '2'), 'limit=2&after=2')
  t.equal(queryAfter('%61fter=1&after=2', 'a+b/c==&d'), 'after=a%2Bb%2Fc%3D%3D%26d')
  t.equal(queryAfter('', 'é'), 'after=%C3%A9')
  t.end()
})

t.test('lists that know no limit are sent none', t => {
  const without = [
    '/v3/branding-colors/dark', '/v3/branding-images/light', '/v3/accounts/0123/branding-colors/light', '/v3/limitations', '/v3/accounts/0123/limitations',
    '/v3/manufacturing/statistics', '/v3/update-campaigns/0123/statistics', '/v3/update-campaigns/0123/statistics/success/event_types'
  ]
  for (const path of without) t.equal(choosePageSize(path), undefined, path)
  for (const path of ['/v3/devices', '/v3/devices/', '/v3/accounts', '/v3/metrics', '/v3/update-campaigns', '/v3/update-campaigns/0123/campaign-device-metadata', '/v9/new']) t.equal(choosePageSize(path), 1000, path)
  t.equal(choosePageSize('/v3/limitations', 5), undefined)
  t.end()
})
