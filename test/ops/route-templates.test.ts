import fc from 'fast-check'
import t from 'tap'
import { createRouteMatcher } from '../../src/ops/route-matcher.ts'
import { documented, own, readOperations, undocumented } from '../../src/ops/route-templates.ts'

const tables = [documented, undocumented, own].flatMap(readOperations)
const match = createRouteMatcher(tables.map(({ template }) => template))
const shown = (template: string) => '/' + template.split('/').filter(Boolean).join('/')
const fill = (template: string, value: string) => template.replace(/\{[^}]+\}/g, value)

t.test('the table has the 217 paths and 353 operations of the description', async t => {
  const operations = readOperations(documented)
  t.equal(operations.length, 217)
  t.equal(operations.flatMap(({ methods }) => methods).length, 353)
  t.equal(new Set(operations.map(({ template }) => template)).size, 217)
  for (const { methods, template } of tables) {
    t.match(template, /^\/{1,2}[a-z0-9_]/i)
    t.ok(methods.every(method => /^(GET|POST|PUT|PATCH|DELETE)$/.test(method)), template)
  }
})

t.test('every path finds its own template, filled with an id', async t => {
  for (const { template } of tables) t.equal(match(fill(template, '017a0c5e6b8b0242ac120002')), shown(template))
})

t.test('a fixed segment wins over a parameter, and gives way where it leads nowhere', async t => {
  const cases: Array<[string, string | undefined]> = [
    ['/v3/api-keys/me', '/v3/api-keys/me'],
    ['/v3/api-keys/other', '/v3/api-keys/{apikey_id}'],
    ['/v3/accounts/me/notifications', '/v3/accounts/me/notifications'],
    ['/v3/accounts/me/users', '/v3/accounts/{account_id}/users'],
    ['/v3/devices', '/v3/devices'],
    ['/v3/devices/', '/v3/devices'],
    ['//v3///devices//', '/v3/devices'],
    ['/v2/endpoints/d/3303/0/5700', '/v2/endpoints/{device-id}/{resourcePath}'],
    ['/v2/endpoints/d', '/v2/endpoints/{device-id}'],
    ['/_proxy/pages/v3/devices', '/_proxy/pages/{path...}'],
    ['/v3/devices/d/unheard-of', undefined],
    ['/v4/devices', undefined],
    ['/', undefined],
    ['', undefined],
    ['*', undefined]
  ]
  for (const [path, template] of cases) t.equal(match(path), template, path)
})

t.test('whatever a client sends, the answer is one of the table or none', async () => {
  const known = new Set(tables.map(({ template }) => shown(template)))
  const segment = fc.oneof(fc.constantFrom('v2', 'v3', 'devices', 'accounts', 'me', 'api-keys', 'endpoints', '_proxy', 'trail', '', '..', '__proto__', 'constructor'), fc.string())
  fc.assert(fc.property(fc.array(segment, { maxLength: 12 }), segments => {
    const template = match('/' + segments.join('/'))
    return template === undefined || known.has(template)
  }), { numRuns: 5000 })
})
