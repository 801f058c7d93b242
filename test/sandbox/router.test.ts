import { test } from 'tap'
import { Router } from '../../src/sandbox/router.ts'
import type { Route } from '../../src/sandbox/router.ts'

const route = (method: Route['method'], path: string): Route => ({ method, path, handle: () => ({ status: 200 }) })
const router = new Router().add([
  route('GET', '/v3/accounts/me'),
  route('GET', '/v3/accounts/{account_id}'),
  route('GET', '/v3/accounts/{account_id}/users'),
  route('POST', '/v3/devices'),
  route('GET', '/v3/devices/'),
  route('GET', '/v2/subscriptions/{device-id}'),
  route('PUT', '/v2/subscriptions/{device-id}/{path*}')
])

const cases: Array<[method: string, path: string, found: string, params?: Record<string, string>]> = [
  ['GET', '/v3/accounts/me', '/v3/accounts/me', {}],
  ['GET', '/v3/accounts/0161', '/v3/accounts/{account_id}', { account_id: '0161' }],
  ['GET', '/v3/accounts/me/users', '/v3/accounts/{account_id}/users', { account_id: 'me' }],
  ['GET', '/v3/devices', '/v3/devices/', {}],
  ['GET', '/v3/devices/', '/v3/devices/', {}],
  ['GET', '//v3/devices', '/v3/devices/', {}],
  ['HEAD', '/v3/devices', '/v3/devices/', {}],
  ['POST', '/v3/devices/', '/v3/devices', {}],
  ['GET', '/v2/subscriptions/a%2Fb', '/v2/subscriptions/{device-id}', { 'device-id': 'a/b' }],
  ['GET', '/v2/subscriptions/100%', '/v2/subscriptions/{device-id}', { 'device-id': '100%' }],
  ['PUT', '/v2/subscriptions/id//3/0/1', '/v2/subscriptions/{device-id}/{path*}', { 'device-id': 'id', path: '3/0/1' }],
  ['PUT', '/v3/devices', 'no-method'],
  ['GET', '/v2/subscriptions/id/3', 'no-method'],
  ['GET', '/v3', 'no-path'],
  ['GET', '/', 'no-path'],
  ['GET', '/v3/devices/a/b/c', 'no-path']
]

for (const [method, path, found, params] of cases) {
  test(`finds ${found} for ${method} ${path}`, async t => {
    const match = router.find(method, path)
    t.equal(typeof match === 'string' ? match : match.route.path, found)
    if (typeof match !== 'string') t.strictSame(match.params, params)
  })
}
