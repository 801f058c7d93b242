import t from 'tap'
import { noBrowser, startBrowser } from '../support/browser.ts'
import { ensureBuilt } from '../support/console-page.ts'
import { assertAccessible, assertClean, logIn, openTab, row, rowsOf } from '../support/console-tab.ts'
import { startTeamProduct } from '../support/console-team.ts'
import { waitFor } from '../support/wait-for.ts'

t.test('the console with a team, in Chromium', { skip: noBrowser }, async t => {
  ensureBuilt()
  const browser = await startBrowser(t)
  const product = await startTeamProduct(t, { flags: { '--channel': 'off' } })

  t.beforeEach(() => browser.clearCookies())

  t.test('asks for a token, lets in with one, and out again', async t => {
    const tab = await openTab(browser, product, 'members')
    const { page } = tab
    await assertAccessible(t, tab, 'login')
    await page.getByLabel('Member token').fill('izp_wrong')
    await page.keyboard.press('Enter')
    t.match(await page.getByRole('alert').innerText(), 'not valid')
    t.equal(await page.evaluate('document.activeElement?.id'), 'token')
    await logIn(tab, product, 'ada')
    await product.send('grace', '/v3/devices?limit=2')
    await product.send('grace', '/v3/api-keys')
    await waitFor('her usage', () => page.getByRole('row', { name: /grace/ }).innerText(), text => /grace\s+member\s+(just now|\d+ s ago)\s+1 of 50\s+0 of 8\s+1/.test(text), 10_000)
    await assertAccessible(t, tab, 'members')
    t.equal(await page.evaluate('document.cookie + JSON.stringify([{ ...localStorage }, { ...sessionStorage }])'), '[{},{}]', 'scripts can read neither cookie nor token')
    await page.getByRole('row', { name: /grace/ }).getByRole('link', { name: '1' }).click()
    await row(page, '/v3/api-keys').waitFor()
    t.match(await row(page, '/v3/api-keys').innerText(), /403[\s\S]*member_forbidden[\s\S]*grace/)

    await page.getByRole('button', { name: 'Log out' }).click()
    await page.getByText('You are logged out').waitFor()
    await page.reload()
    await page.getByLabel('Member token').waitFor()
    assertClean(t, tab)
    await page.close()
  })

  t.test('shows a member what is the member\'s own', async t => {
    const tab = await openTab(browser, product)
    await logIn(tab, product, 'grace')
    const { page } = tab
    await product.send('ada', '/v3/devices?limit=7')
    await product.send('grace', '/v3/devices?limit=8')
    await row(page, 'limit=8').waitFor()
    t.equal(await row(page, 'limit=7').count(), 0)
    await page.getByRole('link', { name: 'Members' }).click()
    await page.getByRole('row', { name: /grace/ }).waitFor()
    t.equal(await page.getByRole('row', { name: /ada/ }).count(), 0)
    await page.getByRole('link', { name: 'Health' }).click()
    await page.getByText('Shown to admins only').waitFor()
    assertClean(t, tab)
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.close()
  })

  t.test('a revoked token ends what is open', async t => {
    const tab = await openTab(browser, product)
    await logIn(tab, product, 'grace')
    await tab.page.getByRole('button', { name: 'Live' }).waitFor()
    product.keepOnly('ada')
    await tab.page.getByText('Your session has ended').waitFor({ timeout: 10_000 })
    t.equal(await rowsOf(tab.page).count(), 0, 'nothing of it stays on the page')
    await tab.page.getByLabel('Member token').fill(product.tokens.grace)
    await tab.page.getByRole('button', { name: 'Log in' }).click()
    t.match(await tab.page.getByRole('alert').innerText(), 'not valid')
    await tab.page.close()
  })
})
