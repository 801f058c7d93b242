import { test } from 'tap'
import { setUpSandbox } from '../support/sandbox-client.ts'

test('shows the account under me, under its id and in the list', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const { json: me } = await ask('/v3/accounts/me')
  t.strictSame((await ask(`/v3/accounts/${sandbox.accountId}`)).json, me)
  t.match((await ask('/v3/accounts')).json, { object: 'list', data: [{ id: sandbox.accountId }] })
  t.match(await ask('/v3/accounts/0123'), { status: 404 })
  t.match(await ask('/v3/accounts/me', { method: 'PUT', body: '{"city":"Turku","id":"other"}' }), { status: 200, json: { city: 'Turku', id: sandbox.accountId } })
})

test('makes a user and shows the password that once', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const made = await ask('/v3/users', { method: 'POST', body: '{"email":"new@example.com","full_name":"New"}' })
  t.match(made, { status: 201, json: { object: 'user', email: 'new@example.com', status: 'INVITED', password: /^.{16,}$/ } })
  t.notOk('password' in (await ask(`/v3/users/${made.json.id}`)).json)
  t.match((await ask(`/v3/accounts/${sandbox.accountId}/users?email__eq=new@example.com`)).json.data, [{ full_name: 'New' }])
  t.match(await ask(`/v3/users/${made.json.id}`, { method: 'PUT', body: '{"full_name":"Newer"}' }), { json: { full_name: 'Newer', etag: '2' } })
  t.equal((await ask(`/v3/users/${made.json.id}`, { method: 'DELETE' })).status, 204)
  t.match(await ask('/v3/users', { method: 'POST', body: '{}' }), { status: 400, json: { fields: [{ name: 'email', message: 'Parameter missing.' }] } })
  t.equal((await ask('/v3/accounts/0123/users')).status, 404)
})

test('lists limitations and policy groups', async t => {
  const { ask } = await setUpSandbox(t)
  t.match((await ask('/v3/limitations')).json.data, [{ object: 'limitation' }, {}, {}])
  t.match((await ask('/v3/policy-groups')).json.data, [{ object: 'group', name: 'Administrators' }, {}])
})

test('pages pre-shared keys with a marker that is good for one limit only', async t => {
  const { ask } = await setUpSandbox(t)
  const path = '/v2/device-shared-keys'
  for (let index = 0; index < 5; index++) {
    t.equal((await ask(path, { method: 'POST', body: JSON.stringify({ endpoint_name: `ep-${index}`, secret_hex: '4a'.repeat(16) }) })).status, 201)
  }
  const first = await ask(`${path}?limit=3`)
  t.match(first.json, { object: 'list', has_more: true, data: [{ endpoint_name: 'ep-4' }, {}, {}] })
  t.notOk('total_count' in first.json)
  t.notMatch(first.text, '4a4a')
  const marker = first.json.continuation_marker
  t.match((await ask(`${path}?limit=3&after=${marker}`)).json, { has_more: false, data: [{ endpoint_name: 'ep-1' }, { endpoint_name: 'ep-0' }] })
  t.match(await ask(`${path}?limit=2&after=${marker}`), { status: 400, text: 'TOKEN_NOT_VALID' })
  t.match(await ask(path, { method: 'POST', body: '{"endpoint_name":"a b"}' }), { status: 400, text: 'INVALID_ENDPOINT_NAME,INVALID_SECRET_HEX' })
  t.match(await ask(path, { method: 'POST', body: JSON.stringify({ endpoint_name: 'ep-0', secret_hex: '4a'.repeat(16) }) }), { status: 409, text: 'PSK_ALREADY_EXISTS' })
  t.equal((await ask(`${path}/ep-0`)).status, 200)
  t.equal((await ask(`${path}/ep-0`, { method: 'DELETE' })).status, 204)
  t.match(await ask(`${path}/ep-0`), { status: 404, text: 'PSK_NOT_FOUND' })
})
