import { test } from 'tap'
import { setUpSandbox } from '../support/sandbox-client.ts'

test('refuses who sends no key, or a wrong one, as the API does', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const refused: Array<[headers: Record<string, string>, type: string, message: string]> = [
    [{}, 'unauthorized', 'Access is denied.'],
    [{ Authorization: 'Bearer wrong' }, 'invalid_auth', 'Invalid access token.'],
    [{ Authorization: 'Bearer' }, 'invalid_auth', 'Invalid access token.'],
    [{ Authorization: `Basic ${sandbox.accessKey}` }, 'invalid_auth', 'Invalid access token.'],
    [{ Authorization: sandbox.accessKey }, 'invalid_auth', 'Invalid access token.'],
    [{ Authorization: `Bearer ${sandbox.accessKey}x` }, 'invalid_auth', 'Invalid access token.']
  ]
  for (const [headers, type, message] of refused) {
    const answer = await ask('/v3/devices', { key: null, headers })
    t.equal(answer.status, 401)
    t.strictSame(answer.json, { object: 'error', code: 401, type, message, request_id: answer.headers['x-request-id'] })
  }
})

test('takes the scheme in any case', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
    t.equal((await ask('/v3/accounts/me', { key: null, headers: { Authorization: `${scheme} ${sandbox.accessKey}` } })).status, 200)
  }
})

test('refuses two Authorization headers', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const answer = await ask('/v3/accounts/me', { key: null, headers: { Authorization: [`Bearer ${sandbox.accessKey}`, 'Bearer other'] } })
  t.match(answer, { status: 400, json: { type: 'bad_request' } })
})

test('takes keys that were given, added and reactivated, and refuses those that were revoked, disabled or expired', async t => {
  const { sandbox, ask } = await setUpSandbox(t, { accessKeys: ['ak_first', 'ak_second'] })
  const statusOf = async (key: string): Promise<number> => (await ask('/v3/accounts/me', { key })).status
  t.equal(sandbox.accessKey, 'ak_first')
  t.equal(await statusOf('ak_second'), 200)
  const added = sandbox.addAccessKey()
  t.equal(await statusOf(added), 200)
  sandbox.setAccessKeyStatus(added, 'INACTIVE')
  t.equal(await statusOf(added), 401)
  sandbox.setAccessKeyStatus(added, 'ACTIVE')
  t.equal(await statusOf(added), 200)
  t.ok(sandbox.revokeAccessKey('ak_first'))
  t.notOk(sandbox.revokeAccessKey('ak_first'))
  t.equal(await statusOf('ak_first'), 401)
})

test('gives a session 403 at the notification services and nowhere else', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const key = sandbox.addAccessKey({ kind: 'session' })
  t.match(key, /^rt_/)
  for (const path of ['/v2/notification/channel', '/v2/notification/websocket', '/v2/notification/pull', '/v2/notification/callback', '/v2/subscriptions']) {
    t.match(await ask(path, { key }), { status: 403, json: { type: 'forbidden', code: 403 } }, path)
  }
  t.equal((await ask('/v3/devices', { key })).status, 200)
})

test('answers unknown paths and methods with the API\'s errors', async t => {
  const { ask } = await setUpSandbox(t)
  t.match(await ask('/v3/nothing'), { status: 404, json: { object: 'error', code: 404, type: 'not_found' } })
  t.match(await ask('/v3/devices', { method: 'DELETE' }), { status: 405, json: { type: 'method_not_allowed' } })
  t.match(await ask('/v3/devices', { method: 'HEAD' }), { status: 200, text: '' })
  t.match(await ask('/v3/device-groups', { method: 'POST', body: 'no json' }), { status: 400, json: { type: 'bad_request' } })
  t.match(await ask('/v3/device-groups', { method: 'POST', body: '[1]' }), { status: 400, json: { type: 'bad_request' } })
  t.match(await ask('/v3/device-groups', { method: 'POST', body: `{"name":"${'n'.repeat(1_100_000)}"}` }), { status: 413, json: { code: 413 } })
})
