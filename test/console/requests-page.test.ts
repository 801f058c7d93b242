import t from 'tap'
import { noBrowser, startBrowser } from '../support/browser.ts'
import { ensureBuilt } from '../support/console-page.ts'
import { assertAccessible, assertClean, openTab, row, rowsOf, searchOf } from '../support/console-tab.ts'
import { startProduct } from '../support/product.ts'
import { waitFor } from '../support/wait-for.ts'

t.test('the requests page in Chromium', { skip: noBrowser }, async t => {
  ensureBuilt()
  const browser = await startBrowser(t)
  await browser.grantPermissions(['clipboard-read', 'clipboard-write'])
  const product = await startProduct(t)
  const { url } = product
  const send = (path: string, init?: RequestInit) => fetch(url + path, init).then(answer => answer.text())

  t.test('requests: shows what was asked and what is being asked', async t => {
    const tab = await openTab(browser, product)
    const { page } = tab
    await page.getByText(`curl '${url}/v3/devices?limit=2'`).waitFor()
    await assertAccessible(t, tab, 'no requests yet')
    await send('/v3/devices?limit=3')
    await send('/v3/devices/not-a-device-id')
    await row(page, '/v3/devices?limit=3').waitFor()
    await page.getByRole('button', { name: 'Live' }).waitFor()
    await send('/v3/device-groups?limit=2')
    await row(page, '/v3/device-groups?limit=2').waitFor()
    t.match(await rowsOf(page).first().innerText(), /200[\s\S]*GET[\s\S]*device-groups[\s\S]*ms/, 'the newest on top')
    t.equal(await row(page, '/_proxy/').count(), 0, 'the proxy\'s own pages are not in the way')
    await page.locator('.plots canvas').first().waitFor()
    t.match(await page.locator('.plot').first().getAttribute('aria-label'), /^Requests over time: per second .* · \d+$/)

    await page.getByRole('button', { name: 'Live' }).click()
    await send('/v3/accounts/me')
    await product.trail(rows => rows.some(({ path, outcome }) => path === '/v3/accounts/me' && outcome === 'answered'))
    await page.waitForTimeout(500)
    t.equal(await row(page, '/v3/accounts/me').count(), 0, 'paused')
    await page.getByRole('button', { name: 'Paused' }).click()
    await row(page, '/v3/accounts/me').waitFor()
    await assertAccessible(t, tab, 'requests')
    assertClean(t, tab)
    await page.close()
  })

  t.test('requests: filters stand in the address and work from there', async t => {
    await send('/v3/filtered/one')
    await send('/v3/devices?limit=4', { method: 'DELETE' })
    const tab = await openTab(browser, product)
    const { page } = tab
    await row(page, '/v3/filtered/one').waitFor()
    await page.getByLabel('Search path and error').fill('filtered')
    await waitFor('the one that fits', () => rowsOf(page).allInnerTexts(), texts => texts.length === 1 && texts[0]?.includes('/v3/filtered/one') === true)
    t.equal(searchOf(page).get('q'), 'filtered')
    await send('/v3/filtered/two')
    await row(page, '/v3/filtered/two').waitFor()
    await send('/v3/devices?limit=5')
    await page.getByLabel('Search path and error').fill('')
    await row(page, '/v3/devices?limit=5').waitFor()

    await page.getByLabel('Status', { exact: true }).selectOption('4xx')
    await row(page, '/v3/devices?limit=5').waitFor({ state: 'detached' })
    t.strictSame([...searchOf(page)], [['status__gte', '400'], ['status__lte', '499']])
    await page.goBack()
    await row(page, '/v3/devices?limit=5').waitFor()

    await page.getByRole('button', { name: '+ Filter' }).click()
    const { x, width } = await page.getByRole('group', { name: 'Add a filter' }).boundingBox() as { x: number, width: number }
    t.ok(x >= 0 && x + width <= 1280, 'all of it is in sight')
    await page.getByLabel('Field').selectOption('path')
    await page.getByLabel('Value').fill('/v3/filtered/one')
    await page.keyboard.press('Enter')
    await row(page, '/v3/filtered/two').waitFor({ state: 'detached' })
    t.equal(searchOf(page).get('path__eq'), '/v3/filtered/one')
    await page.reload()
    await row(page, '/v3/filtered/one').waitFor()
    await waitFor('the address to be all it takes', () => rowsOf(page).count(), count => count === 1)
    await page.getByRole('button', { name: 'Remove filter path = /v3/filtered/one' }).click()
    await row(page, '/v3/filtered/two').waitFor()

    await page.goto(`${url}/_proxy/console/?duration__gte=x`)
    t.match(await page.getByRole('alert').innerText(), /duration.*No such parameter/, 'a filter that the API refuses is explained')
    t.ok(await page.getByRole('button', { name: 'Paused' }).isDisabled(), 'and not asked for again and again')
    t.equal(await page.getByText('No request').count(), 0, 'nor said to fit nothing')
    assertClean(t, tab)
    await page.close()
  })

  t.test('requests: dragging in a plot selects its time range, a double click goes back', async t => {
    const tab = await openTab(browser, product, '?range=5m')
    const { page } = tab
    const over = page.locator('.u-over').first()
    await over.waitFor()
    await rowsOf(page).first().waitFor()
    const { x, y, width, height } = await over.boundingBox() as { x: number, y: number, width: number, height: number }
    const drag = async (from: number, to: number) => {
      await page.mouse.move(x + width * from, y + height / 2)
      await page.mouse.down()
      await page.mouse.move(x + width * to, y + height / 2, { steps: 4 })
      await page.mouse.up()
    }
    await drag(0.1, 0.5)
    await page.waitForURL(/started_at__gte/)
    const [from, to] = [Date.parse(searchOf(page).get('started_at__gte') ?? ''), Date.parse(searchOf(page).get('started_at__lte') ?? '')]
    t.ok(Math.abs((to - from) - 120_000) < 12_000, `two of five minutes: ${(to - from) / 1000} s`)
    t.ok(await page.getByRole('button', { name: 'Paused' }).isDisabled(), 'a range that stands is not live')
    await page.getByRole('button', { name: 'Back to live time' }).click()
    await rowsOf(page).first().waitFor()
    t.notOk(searchOf(page).has('started_at__gte'))

    await page.getByLabel('Time', { exact: true }).selectOption('range')
    await page.getByLabel('From', { exact: true }).fill('2020-01-01T00:00:00')
    await page.getByLabel('To', { exact: true }).fill('2020-01-01T01:00:00')
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.getByText('No request fits').waitFor()
    await assertAccessible(t, tab, 'an empty list')
    await over.dblclick()
    await page.waitForURL(address => !address.searchParams.has('started_at__gte'))
    assertClean(t, tab)
    await page.close()
  })

  t.test('requests: a row opens into its timeline, its explanation, and what to copy', async t => {
    await send('/v3/devices/nonsense%27s?x=%24%28id%29')
    const tab = await openTab(browser, product)
    const { page } = tab
    await row(page, 'nonsense').click()
    const details = page.getByRole('complementary', { name: 'Request details' })
    await details.getByText('Likely cause').waitFor()
    t.match(await details.innerText(), /something that is not a Device ID[\s\S]*Using the APIs[\s\S]*Timeline[\s\S]*Arrived from 127\.0\.0\.1[\s\S]*The API began to answer with 40\d[\s\S]*Answer passed on whole/)
    t.equal(await page.evaluate('document.activeElement?.tagName'), 'H2', 'the reader is taken there')
    await details.getByRole('button', { name: 'Copy as curl' }).click()
    await details.getByText('Copied').waitFor()
    t.equal(await page.evaluate<string>('navigator.clipboard.readText()'), `curl --globoff --path-as-is '${url}/v3/devices/nonsense%27s?x=%24%28id%29'`)
    await details.getByRole('button', { name: 'Copy support text' }).click()
    const id = searchOf(page).get('open') ?? ''
    await waitFor('the support text', () => page.evaluate<string>('navigator.clipboard.readText()'), text => text.includes(id) && text.includes('#'))
    await assertAccessible(t, tab, 'details')
    await page.reload()
    await details.getByText('Likely cause').waitFor()
    await page.keyboard.press('Escape')
    await details.waitFor({ state: 'detached' })
    t.equal(searchOf(page).get('open'), null)
    await page.goto(`${url}/_proxy/console/?open=${'0'.repeat(32)}`)
    await page.getByText('The trail has no such request').waitFor()
    t.strictSame(tab.complaints.filter(text => !text.includes('status of 404')), [])
    await page.close()
  })

  t.test('requests: the keyboard reaches every row', async t => {
    const tab = await openTab(browser, product)
    const { page } = tab
    await rowsOf(page).first().waitFor()
    await page.locator('.all .row button[tabindex="0"]').focus()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowDown')
    const focused = () => page.evaluate<string | null>("document.activeElement?.closest('.row')?.getAttribute('aria-rowindex') ?? null")
    await waitFor('the third row', focused, index => index === '4')
    await page.keyboard.press('End')
    await waitFor('the last row', async () => [await focused(), await page.getByRole('grid').getAttribute('aria-rowcount')], ([index, count]) => index === count)
    await page.keyboard.press('Home')
    await waitFor('the first row', focused, index => index === '2')
    await page.keyboard.press('Enter')
    await page.getByRole('complementary').waitFor()
    await page.keyboard.press('Escape')
    await waitFor('back on the row', focused, index => index !== null)
    assertClean(t, tab)
    await page.close()
  })
})
