import { request } from 'node:http'
import t from 'tap'
import { noBrowser, startBrowser } from '../support/browser.ts'
import { ensureBuilt } from '../support/console-page.ts'
import { assertClean, openTab, record, row } from '../support/console-tab.ts'
import { startProduct } from '../support/product.ts'

t.test('hostile text in Chromium', { skip: noBrowser }, async t => {
  ensureBuilt()
  const browser = await startBrowser(t)
  const product = await startProduct(t)
  const { url } = product

  // What clients, devices and the API control, and what a team file could hold.
  t.test('what others wrote is text, never markup', async t => {
    const attack = '<img src=x onerror="window.broken=1"><script>window.broken=1</script>'
    const tab = await openTab(browser, product)
    const { page } = tab
    const fields = ['method', 'path', 'query', 'member', 'region', 'key_fingerprint', 'client_address', 'client_agent', 'policy_decision', 'notes', 'error_type', 'error_message', 'upstream_request_id', 'async_id', 'trace_id']
    record(product, Object.fromEntries(fields.map(field => [field, `${attack}${field}`])))
    product.sandbox.misbehave({ path: '/v3/attack*', status: 400, body: { object: 'error', code: 400, type: `${attack}type`, message: `${attack}message`, request_id: '0'.repeat(32) } })
    // As a client would that writes its own bytes; `fetch` encodes.
    await new Promise((resolve, reject) => request(`${url}/v3/attack`, { path: '/v3/attack/<img/src=x/onerror=window.broken=1>', headers: { 'user-agent': attack } }, answer => answer.resume().on('end', resolve)).on('error', reject).end())
    await row(page, 'error_type').click()
    const details = page.getByRole('complementary')
    await details.getByText(`${attack}client_agent`).waitFor()
    for (const field of fields) t.match(await details.innerText(), `${attack}${field}`, field)
    await row(page, '/v3/attack').click()
    await details.getByText('onerror=window.broken').first().waitFor()
    t.match(await details.innerText(), `${attack}message`)
    await page.getByLabel('Search path and error').fill(attack)
    await page.goto(`${url}/_proxy/console/?q=${encodeURIComponent(attack)}&path__eq=${encodeURIComponent(attack)}&range=${encodeURIComponent(attack)}`)
    await page.getByRole('button', { name: 'Remove filter' }).waitFor()

    await page.route('**/_proxy/session', route => route.fulfill({ json: { member: { name: `${attack}name`, role: 'admin' }, via: 'token', expires_at: null, csrf_token: null } }))
    await page.route('**/_proxy/members', route => route.fulfill({ json: { data: [{ name: `${attack}name`, role: attack, last_seen: attack, requests_today: 1, refused_today: 1, daily: 2, open: 0, concurrency: 1 }] } }))
    await page.route('**/_proxy/notifications', route => route.fulfill({ contentType: 'text/event-stream', body: `data: ${JSON.stringify({ [attack]: [attack], notifications: [{ ep: attack, path: attack, payload: Buffer.from(attack).toString('base64') }] })}\n\nevent: gap\ndata: ${JSON.stringify({ reason: attack })}\n\n` }))
    await page.goto(`${url}/_proxy/console/members`)
    await page.getByRole('link', { name: `${attack}name` }).waitFor()
    await page.goto(`${url}/_proxy/console/channel`)
    await page.getByRole('button', { name: 'Listen' }).click()
    await page.locator('.events').getByText(attack).first().waitFor()
    t.equal(await page.evaluate('window.broken'), undefined)
    t.equal(await page.locator('#app img, #app script').count(), 0)
    assertClean(t, tab)
    await page.close()
  })
})
