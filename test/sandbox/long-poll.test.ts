import { test } from 'tap'
import { setUpSandbox } from '../support/sandbox-client.ts'
import { waitFor } from '../support/wait-for.ts'

const pull = '/v2/notification/pull'
const event = { kind: 'registrations' as const, item: { ep: 'a' } }

test('answers a poll with 204 when nothing happens for as long as it waits', async t => {
  const { ask } = await setUpSandbox(t, { pollWaitMs: 150 })
  const started = performance.now()
  t.equal((await ask(pull)).status, 204)
  t.ok(performance.now() - started >= 140)
  t.match((await ask('/v2/notification/channel')).json, { delivery_mechanism: 'LONG_POLLING' })
})

test('answers a poll as soon as there is something', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const waiting = ask(pull)
  await waitFor('the poll', () => sandbox.channel()?.connected, connected => connected === true)
  sandbox.notify(event)
  t.match(await waiting, { status: 200, headers: { 'content-type': 'application/json' }, json: { registrations: [{ ep: 'a' }] } })
  sandbox.notify(event)
  t.equal((await ask(pull)).status, 200, 'what came between two polls has waited')
})

test('refuses a second poll with 409', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const first = ask(pull)
  await waitFor('the poll', () => sandbox.channel()?.connected, connected => connected === true)
  t.equal((await ask(pull)).status, 409)
  sandbox.notify(event)
  t.equal((await first).status, 200)
})

test('frees the place of a client that has left, and keeps what it did not get', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const leaving = new AbortController()
  const first = ask(pull, { signal: leaving.signal })
  await waitFor('the poll', () => sandbox.channel()?.connected, connected => connected === true)
  leaving.abort()
  await t.rejects(first, { name: 'AbortError' })
  await waitFor('the place', () => sandbox.channel()?.connected, connected => connected === false)
  t.match(sandbox.received[0], { status: 0, aborted: true })
  sandbox.notify(event)
  t.match(await ask(pull), { status: 200, json: { registrations: [{ ep: 'a' }] } })
})

test('deletes the poll channel, and answers 410 until it is purged', async t => {
  const { sandbox, ask } = await setUpSandbox(t, { secondMs: 5, pollWaitMs: 5_000 })
  const waiting = ask(pull)
  await waitFor('the poll', () => sandbox.channel()?.connected, connected => connected === true)
  t.match(await ask(pull, { method: 'DELETE' }), { status: 200, text: 'REMOVED' })
  t.match(await waiting, { status: 410, text: 'CHANNEL_DELETED' })
  t.match(await ask(pull, { method: 'DELETE' }), { status: 200, text: 'ALREADY_DELETED' })
  t.match(await ask(pull), { status: 410, text: 'CHANNEL_DELETED' })
  sandbox.notify(event)
  t.equal(sandbox.channel(), undefined)
  await waitFor('the purge', async () => {
    const asking = new AbortController()
    const answer = ask(pull, { signal: asking.signal }).then(({ status }) => status, () => 0)
    const status = await Promise.race([answer, new Promise<number>(resolve => setTimeout(resolve, 100, 0))])
    asking.abort()
    return status
  }, status => status === 0)
})

test('allows one kind of channel at a time', async t => {
  const { sandbox, ask } = await setUpSandbox(t, { pollWaitMs: 10 })
  await ask(pull)
  t.match(await ask('/v2/notification/websocket', { method: 'PUT' }), { status: 400, json: { message: 'Other type of channel already exists.' } })
  await ask(pull, { method: 'DELETE' })
  t.equal((await ask('/v2/notification/websocket', { method: 'PUT' })).status, 201)
  t.equal((await ask('/v2/notification/callback', { method: 'PUT', body: '{"url":"http://127.0.0.1:9/"}' })).status, 400)
  const other = sandbox.addAccessKey({ application: 'new' })
  await ask('/v2/notification/websocket', { method: 'PUT', key: other })
  t.match(await ask(pull, { key: other }), { status: 400, json: { message: 'Other type of channel already exists.' } })
})
