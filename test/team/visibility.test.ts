import { Agent } from 'node:http'
import { test } from 'tap'
import { ask } from '../support/client.ts'
import { startTeamProduct } from '../support/console-team.ts'
import { waitFor } from '../support/wait-for.ts'

const hers = '/v3/devices/adas-own-device'

/** What of it would be seen; the queries of this test, which are the member's own, write it otherwise. */
const shows = new RegExp(`${hers}|"(?:member|name)": ?"ada"`)

/** Opens an event stream and gives what comes in `quietMs` after its head. */
async function readStream (url: string, headers: Record<string, string>, during: () => Promise<unknown>): Promise<string> {
  const leaving = new AbortController()
  const answer = await fetch(url, { headers: { ...headers, accept: 'text/event-stream' }, signal: leaving.signal })
  let text = ''
  const reading = (async () => { for await (const chunk of answer.body as AsyncIterable<Uint8Array>) text += Buffer.from(chunk).toString() })().catch(() => {})
  await during()
  await waitFor('her own event', () => text, got => got.includes('/v3/graces-own'))
  leaving.abort()
  await reading
  return text
}

// Paths name devices, firmware and people: what one member did is not for the others, however they ask.
test('no way of asking shows an ordinary member what somebody else did', async t => {
  const { url, tokens, send, trail } = await startTeamProduct(t)
  for (const name of ['ada', 'grace'] as const) {
    await send(name, name === 'ada' ? hers : '/v3/graces-own')
    await send(name, '/_proxy/pages' + (name === 'ada' ? hers : '/v3/graces-own'))
  }
  const rows = await trail(rows => rows.filter(({ outcome }) => outcome !== 'open').length >= 6)
  const ids = rows.filter(({ member }) => member === 'ada').flatMap(({ id, upstream_request_id: upstream }) => [id, upstream]).filter(id => id !== null)
  t.ok(ids.length >= 4)
  const bases = ['', '/series', '/bundle']
  const filters = ['', 'member__eq=ada', 'member__neq=grace', 'member__in=ada,grace', 'member__nin=grace', 'member=ada', 'filter=member__eq%3Dada', 'member__eq=ada&member__eq=ada', `path__eq=${encodeURIComponent(hers)}`, 'q=adas-own', `id__in=${ids.join(',')}`, `after=${ids[0]}`, 'order=DESC&limit=1000', 'include=total_count&path__neq=x', 'status__gte=100', 'outcome__nin=x']
  const tries = [
    ...bases.flatMap(base => filters.map(filter => `/_proxy/trail${base}?${filter}`)),
    ...ids.flatMap(id => [`/_proxy/trail/${id}`, `/_proxy/trail/${id}/bundle`, `/_proxy/trail/${id}/bundle?format=markdown`, `/_proxy/trail/${encodeURIComponent(id).replace(/^./, char => '%' + char.charCodeAt(0).toString(16))}`]),
    '/_proxy/status', '/_proxy/status?settings', '/_proxy/members', '/_proxy/members?name=ada', '/_proxy/metrics', '/_proxy/session', '/_proxy', '/_proxy/trail/tail/', '/_proxy/trail/../trail'
  ]
  const leaks = []
  const agent = new Agent({ keepAlive: true })
  for (const path of tries) {
    const { text } = await ask(url, path, { agent, headers: { authorization: `Bearer ${tokens.grace}`, 'x-forwarded-user': 'ada', cookie: 'member=ada' } })
    if (shows.test(text)) leaks.push(`${path}: ${text.slice(0, 200)}`)
  }
  agent.destroy()
  t.same(leaks, [])
  const total = (path: string) => send('grace', path).then(({ body }) => (body as { total_count: number }).total_count)
  const counted = (path: string) => send('grace', path).then(({ body }) => (body as { total: { count: number } }).total.count)
  // Her own requests of a moment ago may still be on their way into the store.
  await waitFor('nothing of ada\'s to be counted', async () => await total('/_proxy/trail?include=total_count') - await total('/_proxy/trail?include=total_count&member__eq=grace'), surplus => surplus === 0)
  await waitFor('nor in statistics', async () => await counted('/_proxy/trail/series') - await counted('/_proxy/trail/series?member__eq=grace'), surplus => surplus === 0)
  const live = await readStream(`${url}/_proxy/trail/tail?member__neq=grace&q=`, { authorization: `Bearer ${tokens.ada}`, 'last-event-id': ids[0] as string }, () => send('ada', '/v3/graces-own'))
  t.match(live, 'adas-own', 'an admin sees it come')
  const hidden = await readStream(`${url}/_proxy/trail/tail`, { authorization: `Bearer ${tokens.grace}`, 'last-event-id': ids[0] as string }, async () => { await send('ada', hers); await send('grace', '/v3/graces-own') })
  t.notMatch(hidden, shows, 'she does not')
  t.match((await send('ada', '/_proxy/trail?q=adas-own')).body, { data: [{ member: 'ada' }] }, 'the search would find it')
})
