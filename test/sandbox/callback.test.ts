import { createServer } from 'node:http'
import type { IncomingHttpHeaders, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'tap'
import type { Test } from 'tap'
import { setUpSandbox } from '../support/sandbox-client.ts'
import { waitFor } from '../support/wait-for.ts'

const callback = '/v2/notification/callback'
const event = { kind: 'registrations' as const, item: { ep: 'a' } }

interface Called { method: string | undefined, headers: IncomingHttpHeaders, text: string }

/** A server to call back to; it answers with the statuses given, then with 204. */
async function startReceiver (t: Test, ...statuses: number[]): Promise<{ url: string, calls: Called[] }> {
  const calls: Called[] = []
  const server: Server = createServer((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (chunk: string) => { text += chunk }).on('end', () => {
      calls.push({ method: request.method, headers: request.headers, text })
      response.writeHead(statuses.shift() ?? 204).end()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, calls }
}

test('tries the URL, then delivers by PUT with the headers that were set', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const { url, calls } = await startReceiver(t, 200)
  t.equal((await ask(callback, { method: 'PUT', body: JSON.stringify({ url, headers: { authorization: 'mine' } }) })).status, 204)
  t.match(calls[0], { method: 'PUT', text: '{}', headers: { authorization: 'mine' } })
  t.match((await ask(callback)).json, { url, headers: { authorization: 'mine' } })
  sandbox.notify(event)
  await waitFor('the call', () => calls.length, count => count === 2)
  t.match(calls[1], { method: 'PUT', headers: { 'content-type': 'application/json' }, text: '{"registrations":[{"ep":"a"}]}' })
  t.equal((await ask(callback, { method: 'DELETE' })).status, 204)
  t.equal((await ask(callback)).status, 404)
  t.equal((await ask(callback, { method: 'DELETE' })).status, 404)
})

test('repeats a delivery that failed', async t => {
  const { sandbox, ask } = await setUpSandbox(t, { secondMs: 5 })
  const { url, calls } = await startReceiver(t, 204, 500, 302, 204)
  await ask(callback, { method: 'PUT', body: JSON.stringify({ url }) })
  sandbox.notify(event)
  await waitFor('the repetition', () => calls.length, count => count === 4)
  t.strictSame(calls.map(({ text }) => text), ['{}', ...Array.from({ length: 3 }, () => '{"registrations":[{"ep":"a"}]}')])
})

test('gives up after a day and removes the callback', async t => {
  const { sandbox, ask } = await setUpSandbox(t, { secondMs: 0.001 })
  const { url } = await startReceiver(t, 204, ...Array.from({ length: 10_000 }, () => 500))
  await ask(callback, { method: 'PUT', body: JSON.stringify({ url }) })
  sandbox.notify(event)
  await waitFor('the end', () => sandbox.channel(), channel => channel === undefined)
})

test('refuses a URL that does not answer, is too long, or leads away from this machine', async t => {
  const { ask } = await setUpSandbox(t)
  const { url } = await startReceiver(t, 404)
  const put = async (webhook: unknown) => await ask(callback, { method: 'PUT', body: JSON.stringify(webhook) })
  t.match(await put({ url }), { status: 400, json: { message: 'Given URL is not accessible.' } })
  t.match(await put({ url: 'http://127.0.0.1:1/' }), { status: 400, json: { message: 'Given URL is not accessible.' } })
  t.match(await put({ url: 'https://example.com/hook' }), { status: 400, json: { message: /this machine only/ } })
  t.match(await put({ url: 'ftp://127.0.0.1/' }), { status: 400, json: { fields: [{ name: 'url' }] } })
  t.match(await put({ url, headers: { a: 'x'.repeat(400) } }), { status: 400, json: { fields: [{ name: 'url' }] } })
  t.match(await put({ url, headers: { a: 1 } }), { status: 400, json: { fields: [{ name: 'headers' }] } })
  t.match(await put({}), { status: 400, json: { fields: [{ name: 'url' }] } })
  t.equal((await ask(callback)).status, 404)
})
