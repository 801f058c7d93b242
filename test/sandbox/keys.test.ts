import { test } from 'tap'
import { setUpSandbox } from '../support/sandbox-client.ts'
import type { Answered } from '../support/sandbox-client.ts'

const shape = /^ak_[12][A-Za-z0-9+/]{43}[0-9a-f]{32}[A-Za-z0-9]{32}$/

test('shows a new API key once, and its public part ever after', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const made = await ask('/v3/api-keys', { method: 'POST', body: '{"name":"MyKey1"}' })
  t.match(made, { status: 201, json: { object: 'api-key', name: 'MyKey1', status: 'ACTIVE', key: shape } })
  const { id, key } = made.json
  t.equal(made.headers.location, `${sandbox.origin}/v3/api-keys/${id}`)
  t.equal(key.slice(47, 79), id)
  t.equal(Buffer.from(key.slice(4, 47), 'base64').toString(), sandbox.accountId)
  t.equal((await ask('/v3/accounts/me', { key })).status, 200)
  for (const path of [`/v3/api-keys/${id}`, '/v3/api-keys', `/v3/accounts/${sandbox.accountId}/api-keys/${id}`]) {
    const { text } = await ask(path)
    t.ok(text.includes(key.slice(0, 79)), path)
    t.notOk(text.includes(key.slice(79)), path)
  }
  t.match((await ask('/v3/api-keys/me', { key })).json, { id })
})

test('finds a key by its public part, not by its secret', async t => {
  const { ask } = await setUpSandbox(t)
  const { json: { key } } = await ask('/v3/api-keys', { method: 'POST', body: '{"name":"a"}' })
  await ask('/v3/api-keys', { method: 'POST', body: '{"name":"b"}' })
  const find = async (value: string): Promise<Answered> => await ask(`/v3/api-keys?key__eq=${encodeURIComponent(value)}`)
  t.match((await find(key.slice(0, 79))).json.data, [{ name: 'a' }])
  t.strictSame((await find(key)).json.data, [])
})

test('changes, resets and deletes an API key', async t => {
  const { ask } = await setUpSandbox(t)
  const { json: { id, key } } = await ask('/v3/api-keys', { method: 'POST', body: '{"name":"a"}' })
  t.match(await ask(`/v3/api-keys/${id}`, { method: 'PUT', body: '{"name":"b","status":"INACTIVE"}' }), { status: 200, json: { name: 'b', status: 'INACTIVE' } })
  t.equal((await ask('/v3/accounts/me', { key })).status, 401)
  await ask(`/v3/api-keys/${id}`, { method: 'PUT', body: '{"status":"ACTIVE"}' })
  const reset = await ask(`/v3/api-keys/${id}/reset-secret`, { method: 'POST' })
  t.match(reset, { status: 200, json: { id, key: shape } })
  t.equal((await ask('/v3/accounts/me', { key })).status, 401)
  t.equal((await ask('/v3/accounts/me', { key: reset.json.key })).status, 200)
  t.equal((await ask(`/v3/api-keys/${id}`, { method: 'DELETE' })).status, 204)
  t.equal((await ask('/v3/accounts/me', { key: reset.json.key })).status, 401)
  t.equal((await ask(`/v3/api-keys/${id}`)).status, 404)
})

test('gives an application two access keys and no third', async t => {
  const { ask } = await setUpSandbox(t)
  const { json: application } = await ask('/v3/applications', { method: 'POST', body: '{"name":"App"}' })
  const path = `/v3/applications/${application.id}/access-keys`
  const first = await ask(path, { method: 'POST', body: '{"name":"one"}' })
  t.match(first, { status: 201, json: { object: 'access-key', application_id: application.id, key: shape } })
  t.equal((await ask(path, { method: 'POST', body: '{"name":"two"}' })).status, 201)
  t.match(await ask(path, { method: 'POST', body: '{"name":"three"}' }), { status: 403, json: { type: 'account_limit_exceeded' } })
  t.equal((await ask(path)).json.data.length, 2)
  t.equal((await ask('/v3/access-keys')).json.data.length, 3, 'with the one the sandbox began with')
  t.equal((await ask(`${path}/${first.json.id}`, { method: 'DELETE' })).status, 204)
  t.equal((await ask('/v3/accounts/me', { key: first.json.key })).status, 401)
  t.equal((await ask(path, { method: 'POST', body: '{"name":"three"}' })).status, 201)
})

test('ends the keys of an application with it', async t => {
  const { ask } = await setUpSandbox(t)
  const { json: { id } } = await ask('/v3/applications', { method: 'POST', body: '{"name":"App"}' })
  const { json: { key } } = await ask(`/v3/applications/${id}/access-keys`, { method: 'POST', body: '{"name":"k"}' })
  t.equal((await ask(`/v3/applications/${id}`, { method: 'DELETE' })).status, 204)
  t.equal((await ask('/v3/accounts/me', { key })).status, 401)
  t.equal((await ask(`/v3/applications/${id}`)).status, 404)
})

test('refuses a key that has expired', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const { json: { data: [application] } } = await ask('/v3/applications')
  const made = await ask(`/v3/applications/${application.id}/access-keys`, { method: 'POST', body: '{"name":"old","expiration":"2020-01-01T00:00:00Z"}' })
  t.equal((await ask('/v3/accounts/me', { key: made.json.key })).status, 401)
  t.match((await ask(`/v3/access-keys/${made.json.id}`)).json, { status: 'EXPIRED' })
  t.match(await ask(`/v3/applications/${application.id}/access-keys`, { method: 'POST', body: '{"name":"","status":"x","expiration":"soon"}' }), { status: 403 }, 'two are enough')
  sandbox.revokeAccessKey(made.json.key)
  const wrong = await ask(`/v3/applications/${application.id}/access-keys`, { method: 'POST', body: '{"name":"","status":"x","expiration":"soon"}' })
  t.strictSame(wrong.json.fields.map((field: { name: string }) => field.name), ['name', 'status', 'expiration'])
})

test('allows 25 applications', async t => {
  const { ask } = await setUpSandbox(t)
  for (let index = 2; index <= 25; index++) t.equal((await ask('/v3/applications', { method: 'POST', body: `{"name":"${index}"}` })).status, 201)
  t.match(await ask('/v3/applications', { method: 'POST', body: '{"name":"26"}' }), { status: 403, json: { type: 'account_limit_exceeded' } })
})
