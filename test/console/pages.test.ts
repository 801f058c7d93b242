import t from 'tap'
import { noBrowser, startBrowser } from '../support/browser.ts'
import { ensureBuilt } from '../support/console-page.ts'
import { assertAccessible, assertClean, openTab, rowsOf } from '../support/console-tab.ts'
import { startProduct } from '../support/product.ts'
import { waitFor } from '../support/wait-for.ts'

t.test('the console in Chromium', { skip: noBrowser }, async t => {
  ensureBuilt()
  const browser = await startBrowser(t)
  const product = await startProduct(t)

  t.test('channel: shows the connection and, on demand, its events', async t => {
    const tab = await openTab(browser, product, 'channel')
    const { page } = tab
    await page.getByText('idle').waitFor()
    await page.getByRole('button', { name: 'Listen' }).click()
    await page.getByRole('button', { name: 'Listening' }).waitFor()
    const device = product.sandbox.devices.at(0)?.id ?? ''
    await waitFor('an event', async () => {
      product.sandbox.events.updateRegistration(device)
      return page.locator('.events').innerText({ timeout: 500 }).catch(() => '')
    }, text => text.includes('registration updated') && text.includes(device), 15_000)
    await page.getByText('1 event stream').waitFor()
    await assertAccessible(t, tab, 'channel')
    await page.getByRole('button', { name: 'Listening' }).click()
    await page.getByText('Listeners').locator('..').getByText('none').waitFor()
    assertClean(t, tab)
    await page.close()
  })

  t.test('health: shows checks, versions and settings, and nothing secret', async t => {
    const tab = await openTab(browser, product, 'health')
    const { page } = tab
    await page.getByRole('region', { name: 'trail', exact: true }).waitFor()
    const text = await page.locator('main').innerText()
    for (const word of [process.version, '0.0.0-test', 'PROXY_LISTEN', 'PROXY_TRAIL_RETENTION', '30d', 'sha256:']) t.match(text, word)
    t.notMatch(text, product.sandbox.accessKey.slice(-32))
    await assertAccessible(t, tab, 'health')
    await page.getByRole('link', { name: 'Members' }).click()
    await page.getByText('This proxy has no team').waitFor()
    assertClean(t, tab)
    await page.close()
  })

  t.test('works on a phone', async t => {
    const tab = await openTab(browser, product, '', 390)
    const { page } = tab
    await rowsOf(page).first().waitFor()
    const overflow = () => page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
    t.equal(await overflow(), 0, 'nothing is wider than the screen')
    await page.getByRole('button', { name: 'Plots' }).click()
    await page.locator('.plots canvas').first().waitFor()
    await assertAccessible(t, tab, 'requests on a phone')
    await page.getByRole('button', { name: 'Plots' }).click()
    await rowsOf(page).first().click()
    await page.getByRole('complementary').getByText('Timeline').waitFor()
    t.equal(await overflow(), 0)
    await page.getByRole('button', { name: 'Close details' }).click()
    for (const name of ['Members', 'Channel', 'Health']) {
      await page.getByRole('link', { name }).click()
      await page.getByRole('heading', { level: 1, name }).waitFor()
      await page.waitForTimeout(200)
      t.equal(await overflow(), 0, name)
    }
    assertClean(t, tab)
    await page.close()
  })
})
