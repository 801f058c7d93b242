import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { startAttacked, type Attacked } from '../support/attacked-proxy.ts'
import { noBrowser, startBrowser } from '../support/browser.ts'

/** A site with one empty page on a port of its own. */
async function startSite (t: Test): Promise<number> {
  const server = createServer((_request, response) => { response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>a page</title>') })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise(resolve => { server.closeAllConnections(); server.close(resolve) }))
  return (server.address() as AddressInfo).port
}

/** What reached upstream, but for the icon that the browser itself asks of every site whose page it shows: our refusal is a page of ours. */
const reached = ({ api }: Attacked) => api.seen.filter(({ url }) => url !== '/favicon.ico')

/**
 * What a page may try: expressions in the page, with the proxy's origin as `proxy`. Each resolves to `nothing` or to what the page learns.
 */
const attempts: Record<string, string> = {
  fetch: "fetch(proxy + '/v3/devices').then(answer => answer.text(), () => 'nothing')",
  'fetch with a preflight': "fetch(proxy + '/v3/devices/1', { method: 'DELETE', headers: { authorization: 'Bearer x' } }).then(answer => answer.text(), () => 'nothing')",
  'fetch without CORS': "fetch(proxy + '/v3/devices', { method: 'POST', mode: 'no-cors', body: '{}' }).then(answer => answer.text(), () => '').then(text => text || 'nothing')",
  beacon: "navigator.sendBeacon(proxy + '/v3/devices', '{}') && 'nothing'",
  image: "new Promise(done => Object.assign(new Image(), { onload: () => done('an image'), onerror: () => done('nothing'), src: proxy + '/v3/branding-images/1' }))",
  script: "new Promise(done => document.head.append(Object.assign(document.createElement('script'), { onload: () => done('a script'), onerror: () => done('nothing'), src: proxy + '/v3/devices' })))",
  // Of a frame of another origin a page learns nothing, not even that it failed: what counts is what reaches upstream.
  'form in a frame': `new Promise(done => {
    document.body.innerHTML = '<iframe name="f"></iframe><form method="post" target="f"><input name="a" value="b"></form>'
    document.forms[0].action = proxy + '/v3/devices'
    document.querySelector('iframe').onload = () => done('nothing')
    document.forms[0].submit()
  })`,
  WebSocket: "new Promise(done => Object.assign(new WebSocket(proxy.replace('http', 'ws') + '/v2/notification/websocket-connect', ['wss']), { onopen: () => done('a socket'), onerror: () => done('nothing') }))",
  EventSource: `new Promise(done => {
    const source = new EventSource(proxy + '/_proxy/notifications')
    source.onopen = () => done('a stream')
    source.onerror = () => { source.close(); done('nothing') }
  })`
}

const attempt = (page: Page, expression: string, proxy: string) => page.evaluate(`(proxy => ${expression})(${JSON.stringify(proxy)})`)

async function tryEverything (t: Test, page: Page, origin: string, proxy: string): Promise<void> {
  await page.goto(origin)
  for (const [name, expression] of Object.entries(attempts)) t.equal(await attempt(page, expression, proxy), 'nothing', `${name} from ${origin} to ${proxy}`)
  await page.evaluate(`document.body.innerHTML = '<a href="${proxy}/v3/devices">x</a>'`)
  const [answer] = await Promise.all([page.waitForNavigation(), page.click('a')])
  t.equal(answer?.status(), 403, 'a link, followed')
}

t.test('in Chromium', { skip: noBrowser }, async t => {
  const browser = await startBrowser(t, ['evil.example', 'rebound.example', 'app.example'])
  // Any site that is open in another tab may send requests to this machine; without a token of its own the proxy takes everybody here
  // for its user. Simple requests, beacons, images and forms never ask first (CORS protects answers, not servers).
  t.test('a page of another site gets nothing, reaches nothing, and is in the trail', async t => {
    const attacked = await startAttacked(t)
    const site = await startSite(t)
    const page = await browser.newPage()
    for (const host of ['127.0.0.1', 'localhost']) await tryEverything(t, page, `http://evil.example:${site}/`, `http://${host}:${attacked.proxy.port}`)
    t.same(reached(attacked), [], 'nothing reached upstream')
    const rows = await attacked.rows(2 * (Object.keys(attempts).length + 1))
    t.ok(rows.every(row => row.path === '/favicon.ico' || (row.outcome === 'refused' && row.error_type === 'origin_not_allowed' && row.attempts === 0)), 'all refused')
  })

  // Another program's page on this machine is of the same site, not of the same origin.
  t.test('nor does a page of another port of localhost', async t => {
    const attacked = await startAttacked(t)
    const site = await startSite(t)
    const page = await browser.newPage()
    await tryEverything(t, page, `http://localhost:${site}/`, `http://localhost:${attacked.proxy.port}`)
    t.same(reached(attacked), [])
  })

  // rebound.example pointed to the attacker's server when the page was loaded, and points here now: page and proxy are one origin for
  // the browser, so that no CORS rule applies.
  t.test('nor does a page whose name was bound to this machine', async t => {
    const attacked = await startAttacked(t, { '--allowed-origins': 'http://app.example' })
    const page = await browser.newPage()
    const origin = `http://rebound.example:${attacked.proxy.port}`
    t.equal((await page.goto(`${origin}/v3/devices`))?.status(), 403)
    t.match(await attempt(page, attempts['fetch'] ?? '', origin), 'host_not_allowed')
    t.equal(await attempt(page, attempts['WebSocket'] ?? '', origin), 'nothing')
    t.same(reached(attacked), [])
    const rows = await attacked.rows(3)
    t.ok(rows.filter(row => row.path !== '/favicon.ico').every(row => row.error_type === 'host_not_allowed'))
  })

  t.test('an allowed origin works, with a preflight and without', async t => {
    const site = await startSite(t)
    const origin = `http://app.example:${site}`
    const attacked = await startAttacked(t, { '--allowed-origins': origin })
    const page = await browser.newPage()
    await page.goto(`${origin}/`)
    const proxy = `http://localhost:${attacked.proxy.port}`
    const use = (init: object, path = '/v3/devices') => attempt(page, `fetch(proxy + '${path}', ${JSON.stringify(init)}).then(async answer => ({
      status: answer.status, text: await answer.text(), id: answer.headers.get('X-Proxy-Request-ID'), error: answer.headers.get('X-Proxy-Error')
    }))`, proxy)
    t.match(await use({}), { status: 200, text: '{"object":"list"}', id: /^[0-9a-f]{32}$/ })
    t.match(await use({ method: 'PUT', headers: { 'content-type': 'application/json', authorization: 'Bearer anything' }, body: '{}' }), { status: 200 })
    t.match(await use({ method: 'DELETE' }), { status: 200 })
    t.match(await use({}, '/v3/%252e'), { status: 400, error: 'request_target_invalid', id: /^[0-9a-f]{32}$/ }, 'it can read refusals')
    t.match(await use({}, '/_proxy/nothing'), { status: 404, error: 'not_found' })
    t.same(attacked.api.seen.map(({ method }) => method), ['GET', 'PUT', 'DELETE'])
    t.ok(attacked.api.seen.every(({ rawHeaders }) => !rawHeaders.some(name => /^(origin|sec-fetch-.*)$/i.test(name))))
  })
})
