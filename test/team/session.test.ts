import { test } from 'tap'
import { writeFileSync } from 'node:fs'
import { createToken, digestToken } from '../../src/team/token.ts'
import { SessionSigner, sessionMs } from '../../src/team/session.ts'
import { startTeamServer } from '../support/team-server.ts'
import { waitFor } from '../support/wait-for.ts'

interface Who { object: string, member: { name: string, role: string }, via: string, expires_at: string | null, csrf_token: string | null }

function makeTeam () {
  const token = createToken()
  return { token, team: { members: { alice: { role: 'admin', tokens: [{ sha256: digestToken(token) }] } } } }
}

async function logIn (url: string, token: string) {
  const response = await fetch(`${url}/_proxy/session`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ token }) })
  const setCookie = response.headers.get('set-cookie') ?? ''
  return { response, setCookie, cookie: setCookie.split(';')[0] ?? '', who: await response.json() as Who }
}

test('a token is exchanged for a cookie that scripts cannot read and other sites do not send', async t => {
  const { token, team } = makeTeam()
  const { url, entries } = await startTeamServer(t, { team })
  const { response, setCookie, cookie, who } = await logIn(url, token)
  t.equal(response.status, 200)
  t.match(setCookie, /^izuma_proxy_[0-9a-f]{8}=[^;]+; Max-Age=43200; Path=\/_proxy\/; HttpOnly; SameSite=Strict$/)
  t.notMatch(setCookie, token.slice(4), 'the cookie is not the token')
  t.match(who, { object: 'session', member: { name: 'alice', role: 'admin' }, via: 'session' })
  t.equal(entries[0]?.member, 'alice')

  const again = await fetch(`${url}/_proxy/session`, { headers: { cookie } })
  t.same(await again.json(), { ...who })
  t.equal((await fetch(`${url}/_proxy/trail`, { headers: { cookie } })).status, 200)
})

test('the cookie opens the proxy\'s own paths only', async t => {
  const { token, team } = makeTeam()
  const { url } = await startTeamServer(t, { team })
  const { cookie } = await logIn(url, token)
  t.equal((await fetch(`${url}/v3/devices`, { headers: { cookie } })).status, 401)
})

test('logs in with Authorization too, and says who asks without a session', async t => {
  const { token, team } = makeTeam()
  const { url } = await startTeamServer(t, { team })
  const headers = { authorization: `Bearer ${token}` }
  const login = await fetch(`${url}/_proxy/session`, { method: 'POST', headers })
  t.equal(login.status, 200)
  t.ok(login.headers.get('set-cookie'))
  const who = await fetch(`${url}/_proxy/session`, { headers })
  t.match(await who.json(), { via: 'token', csrf_token: null, member: { name: 'alice' } })
})

test('a wrong token, none and a body that is not JSON log nobody in', async t => {
  const { team } = makeTeam()
  const { url } = await startTeamServer(t, { team })
  const { response, setCookie, who } = await logIn(url, createToken())
  t.equal(response.status, 401)
  t.equal(setCookie, '')
  t.match(who, { object: 'error', type: 'member_unknown' })
  t.equal((await fetch(`${url}/_proxy/session`, { method: 'POST' })).status, 401)
  t.equal((await fetch(`${url}/_proxy/session`)).status, 401)
  t.equal((await fetch(`${url}/_proxy/session`, { method: 'DELETE' })).status, 401)
  const broken = await fetch(`${url}/_proxy/session`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"token":' })
  t.equal(broken.status, 400)
  t.match(await broken.json(), { type: 'validation_error', fields: [{ name: 'token' }] })
})

test('asking who one is is no way of trying tokens without being counted', async t => {
  const { token, team } = makeTeam()
  const { url } = await startTeamServer(t, { team })
  const ask = async (method: string, wrong: string) => (await fetch(`${url}/_proxy/session`, { method, headers: { authorization: `Bearer ${wrong}`, 'content-type': 'application/json' }, ...(method === 'POST' && { body: JSON.stringify({ token }) }) })).status
  t.equal(await ask('POST', createToken()), 401, 'a wrong Authorization is not helped by a right body')
  const statuses: number[] = []
  for (let count = 0; count < 80 && !statuses.includes(429); count++) statuses.push(await ask(count % 2 === 0 ? 'GET' : 'DELETE', createToken()))
  t.ok(statuses.includes(429), `${statuses.length} tried`)
  t.equal(await ask('GET', token), 200)
})

test('what may change something needs the CSRF token', async t => {
  const { token, team } = makeTeam()
  const { url } = await startTeamServer(t, { team })
  const { cookie, who } = await logIn(url, token)
  const post = (headers: Record<string, string>) => fetch(`${url}/_proxy/quit`, { method: 'POST', headers: { cookie, ...headers } })
  t.equal((await post({})).status, 401)
  t.equal((await post({ 'x-csrf-token': 'x'.repeat(43) })).status, 401)
  t.equal((await post({ 'x-csrf-token': who.csrf_token ?? '' })).status, 200)
})

test('a page of another origin gets nothing from the cookie, not even one on another port of this machine', async t => {
  const { token, team } = makeTeam()
  const { url } = await startTeamServer(t, { team })
  const { cookie } = await logIn(url, token)
  const get = async (headers: Record<string, string>) => (await fetch(`${url}/_proxy/trail`, { headers: { cookie, ...headers } })).status
  t.equal(await get({ origin: url }), 200)
  t.equal(await get({ origin: 'http://127.0.0.1:1' }), 401)
  t.equal(await get({ origin: 'null' }), 401)
  t.equal(await get({ 'sec-fetch-site': 'same-site' }), 401)
  t.equal(await get({ 'sec-fetch-site': 'same-origin' }), 200)
  const login = await fetch(`${url}/_proxy/session`, { method: 'POST', headers: { origin: 'http://127.0.0.1:1', authorization: `Bearer ${token}` } })
  t.equal(login.status, 403, 'nor can it log somebody in')
})

test('logging out ends the session, also for whoever copied the cookie, and over a restart', async t => {
  const { token, team } = makeTeam()
  const first = await startTeamServer(t, { team })
  const { cookie, who } = await logIn(first.url, token)
  const out = await fetch(`${first.url}/_proxy/session`, { method: 'DELETE', headers: { cookie, 'x-csrf-token': who.csrf_token ?? '' } })
  t.equal(out.status, 204)
  t.match(out.headers.get('set-cookie'), /=; Max-Age=0; Path=\/_proxy\/; HttpOnly/)
  t.equal((await fetch(`${first.url}/_proxy/session`, { headers: { cookie } })).status, 401)

  const second = await startTeamServer(t, { team, folder: first.folder })
  t.equal((await fetch(`${second.url}/_proxy/session`, { headers: { cookie } })).status, 401)
})

test('a session lives on over a restart', async t => {
  const { token, team } = makeTeam()
  const first = await startTeamServer(t, { team })
  const { cookie } = await logIn(first.url, token)
  const second = await startTeamServer(t, { team, folder: first.folder })
  t.equal((await fetch(`${second.url}/_proxy/session`, { headers: { cookie } })).status, 200)
})

test('revoking the token ends the session within a second', async t => {
  const { token, team } = makeTeam()
  const { url, teamFile } = await startTeamServer(t, { team })
  const { cookie } = await logIn(url, token)
  writeFileSync(teamFile, JSON.stringify({ members: { alice: { role: 'admin' } } }))
  t.equal(await waitFor('the end of the session', async () => (await fetch(`${url}/_proxy/session`, { headers: { cookie } })).status, status => status !== 200, 1000), 401)
})

test('a cookie that was tampered with, expired or signed elsewhere is worth nothing', async t => {
  const key = Buffer.alloc(32, 1)
  const signer = new SessionSigner(key)
  const session = signer.create('alice', 'a'.repeat(64), 1000)
  const value = signer.sign(session)
  t.same(signer.read(value, 2000), session)
  t.equal(signer.read(value, 1000 + sessionMs), undefined)
  t.equal(signer.read(value.replace('1.', '2.'), 2000), undefined)
  t.equal(signer.read(value.slice(0, -1), 2000), undefined)
  t.equal(signer.read('', 2000), undefined)
  t.equal(new SessionSigner(Buffer.alloc(32, 2)).read(value, 2000), undefined)
  const [version, id, digest, expires, , signature] = value.split('.')
  const forged = [version, id, digest, expires, Buffer.from('bob').toString('base64url'), signature].join('.')
  t.equal(signer.read(forged, 2000), undefined)
})

test('without a team everybody on this machine is local, with no need to log in', async t => {
  const { url } = await startTeamServer(t)
  for (const method of ['GET', 'POST']) {
    const response = await fetch(`${url}/_proxy/session`, { method })
    t.equal(response.status, 200)
    t.equal(response.headers.get('set-cookie'), null)
    t.same(await response.json(), { object: 'session', member: { name: 'local', role: 'admin' }, via: 'local', expires_at: null, csrf_token: null })
  }
  t.equal((await fetch(`${url}/_proxy/session`, { method: 'DELETE' })).status, 204)
})
