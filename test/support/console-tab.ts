import axe from 'axe-core'
import type { BrowserContext, Page } from 'playwright-core'
import type { Test } from 'tap'
import type { Name, TeamProduct } from './console-team.ts'
import type { Product } from './product.ts'

export interface Tab {
  page: Page
  /** Exceptions, refused content and failed loads, less those that a test expects. */
  complaints: string[]
  /** Whatever left the proxy's origin. */
  strangers: string[]
}

export async function openTab (browser: BrowserContext, { url }: Product, path = '', width = 1280): Promise<Tab> {
  const page = await browser.newPage()
  page.setDefaultTimeout(30_000)
  await page.setViewportSize({ width, height: width < 500 ? 844 : 800 })
  const tab: Tab = { page, complaints: [], strangers: [] }
  page.on('pageerror', error => tab.complaints.push(error.message))
  page.on('console', message => { if (message.type() === 'error' && !/status of (401|400)/.test(message.text())) tab.complaints.push(message.text()) })
  page.on('dialog', dialog => { tab.complaints.push(`dialog: ${dialog.message()}`); dialog.dismiss().catch(() => {}) })
  page.on('request', asked => { if (!asked.url().startsWith(`${url}/`) && !asked.url().startsWith('data:')) tab.strangers.push(asked.url()) })
  await page.goto(`${url}/_proxy/console/${path}`)
  return tab
}

export function assertClean (t: Test, { complaints, strangers }: Tab): void {
  t.strictSame(complaints, [], 'nothing thrown, nothing refused by the policy')
  t.strictSame(strangers, [], 'no request left the proxy\'s origin')
}

export async function logIn ({ page }: Tab, product: TeamProduct, name: Name): Promise<void> {
  await page.getByLabel('Member token').fill(product.tokens[name])
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('navigation').waitFor()
}

export const rowsOf = (page: Page) => page.locator('.all .row')
export const row = (page: Page, text: string) => rowsOf(page).filter({ hasText: text }).first()
export const searchOf = (page: Page) => new URL(page.url()).searchParams

export async function assertAccessible (t: Test, { page }: Tab, what: string): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    await page.evaluate(axe.source)
    const { violations } = await page.evaluate('axe.run()') as axe.AxeResults
    t.strictSame(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`), [], `axe finds nothing: ${what}, ${colorScheme}`)
  }
}

/** Records as if requests had been made, through the trail's own door. */
export function record ({ app }: Product, facts: Record<string, string>, count = 1): void {
  for (let index = 0; index < count; index++) {
    const entry = app.trail.open({ method: 'GET', path: `/v3/made/${index}`, member: 'local', client_address: '127.0.0.1', ...facts })
    app.trail.close(entry, { outcome: 'answered', status: 200, duration_ms: index % 100, ...facts })
  }
}
