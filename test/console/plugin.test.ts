import Fastify from 'fastify'
import { readdirSync, readFileSync, writeFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import consolePage from '../../src/console/plugin.ts'
import { ask } from '../support/client.ts'
import { builtFolder, ensureBuilt } from '../support/console-page.ts'
import { startTeamProduct } from '../support/console-team.ts'
import { startProduct } from '../support/product.ts'

ensureBuilt()

/** Lists `assets/index-….js` and the like, as the document names them. */
const assets = (html: string) => [...html.matchAll(/(?:src|href)="(\/_proxy\/console\/[^"]+)"/g)].map(match => match[1] as string)

t.test('serves the page with what a browser needs to distrust everything else', async t => {
  const { url } = await startProduct(t, { flags: { '--channel': 'off' } })
  const page = await ask(url, '/_proxy/console/')
  t.equal(page.status, 200)
  t.match(page.headers, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-cache',
    'content-security-policy': /^default-src 'none'; script-src 'self'; style-src 'self'; .*frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'$/,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'x-proxy-request-id': /^[0-9a-f]{32}$/
  })
  t.notMatch(page.text, /<style|style=|<script(?![^>]*src=)|\son\w+=/, 'nothing inline, which the policy forbids')
  const paths = assets(page.text)
  t.equal(paths.length, 2)
  for (const path of paths) {
    const file = await ask(url, path)
    t.match(file.headers, { 'content-type': /^text\/(javascript|css); charset=utf-8$/, 'cache-control': 'public, max-age=31536000, immutable', 'x-content-type-options': 'nosniff' }, path)
  }
  for (const name of ['members', 'channel', 'health']) t.equal((await ask(url, `/_proxy/console/${name}?x=1`)).text, page.text, `${name} is the same document`)
  const moved = await ask(url, '/_proxy/console')
  t.match([moved.status, moved.headers.location], [308, '/_proxy/console/'])
  t.equal((await ask(url, '/_proxy/console/', { method: 'HEAD' })).status, 200)
})

t.test('an unchanged file is not sent again, and one is sent compressed to who asks', async t => {
  const { url } = await startProduct(t, { flags: { '--channel': 'off' } })
  const { headers, body } = await ask(url, '/_proxy/console/')
  t.equal((await ask(url, '/_proxy/console/', { headers: { 'if-none-match': headers.etag } })).status, 304)
  t.equal((await ask(url, '/_proxy/console/', { headers: { 'if-none-match': 'W/"other"' } })).status, 200)
  const small = await ask(url, '/_proxy/console/', { headers: { 'accept-encoding': 'br, gzip' } })
  t.match(small.headers, { 'content-encoding': 'gzip', vary: /Accept-Encoding/ })
  t.ok(small.body.length < body.length)
})

t.test('gives no file but its own, and never forwards what it has not', async t => {
  const product = await startProduct(t, { flags: { '--channel': 'off' } })
  for (const path of ['nothing', 'index.html/x', 'assets', 'assets/', '../plugin.js', '..%2fplugin.js', '%2e%2e/plugin.js', 'plugin.js', 'members/', 'constructor', '__proto__']) {
    const { status, headers } = await ask(product.url, `/_proxy/console/${path}`)
    t.ok(status === 404 || status === 400, `${path}: ${status}`)
    t.ok(headers['x-proxy-error'], `${path}: in our own name`)
  }
  t.equal((await ask(product.url, '/_proxy/console/', { method: 'POST' })).status, 404)
  t.equal(product.sandbox.received.length, 0)
})

t.test('all of it together is under 100 kB, compressed', async t => {
  const files = readdirSync(builtFolder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  const bytes = files.reduce((sum, { parentPath, name }) => sum + gzipSync(readFileSync(join(parentPath, name))).length, 0)
  t.comment(`${bytes} bytes`)
  t.ok(bytes < 100_000, `${bytes} bytes`)
})

async function startAlone (t: Test, folder: string) {
  const app = Fastify()
  app.decorate('team', {} as never)
  await app.register(Object.assign(async () => {}, { [Symbol.for('skip-override')]: true, [Symbol.for('plugin-meta')]: { name: 'team' } }))
  await app.register(consolePage, { folder })
  t.teardown(() => app.close())
  return app
}

t.test('says how to build the page where it is not, and takes it up once it is', async t => {
  const folder = join(t.testdir({}), 'web')
  const app = await startAlone(t, folder)
  const before = await app.inject('/_proxy/console/')
  t.equal(before.statusCode, 503)
  t.match(before.body, /npm run build/)
  mkdirSync(folder)
  writeFileSync(join(folder, 'index.html'), '<!doctype html>')
  writeFileSync(join(folder, 'notes.txt'), 'of no type that the page has')
  t.equal((await app.inject('/_proxy/console/')).body, '<!doctype html>')
  t.equal((await app.inject('/_proxy/console/notes.txt')).statusCode, 404)
})

t.test('admins see everybody\'s usage, members their own, strangers none', async t => {
  const { url, send } = await startTeamProduct(t, { flags: { '--channel': 'off' } })
  await send('grace', '/v3/devices?limit=2')
  const all = await send('ada', '/_proxy/members')
  t.match(all.body, { object: 'list', data: [{ name: 'ada', role: 'admin' }, { object: 'member-usage', name: 'grace', role: 'member', requests_today: 1, refused_today: 0, daily: 50, concurrency: 8, last_seen: /^\d{4}-.*Z$/ }] })
  t.strictSame(((await send('grace', '/_proxy/members')).body as { data: Array<{ name: string }> }).data.map(({ name }) => name), ['grace'])
  t.equal((await ask(url, '/_proxy/members')).status, 401)
  t.equal((await ask(url, '/_proxy/console/')).status, 200, 'the page itself holds nothing secret')
})

t.test('looking at the page leaves no record', async t => {
  const { url, trail } = await startProduct(t, { flags: { '--channel': 'off' } })
  for (const path of ['/_proxy/console/', '/_proxy/members', '/_proxy/trail', '/_proxy/status', '/v3/devices?limit=2']) await ask(url, path)
  const rows = await trail(rows => rows.some(row => row.path === '/v3/devices' && row.outcome === 'answered'))
  t.strictSame(rows.map(row => row.path), ['/v3/devices'])
})
