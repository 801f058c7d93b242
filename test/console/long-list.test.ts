import t from 'tap'
import { noBrowser, startBrowser } from '../support/browser.ts'
import { ensureBuilt } from '../support/console-page.ts'
import { assertClean, openTab, record, rowsOf } from '../support/console-tab.ts'
import { startProduct } from '../support/product.ts'
import { waitFor } from '../support/wait-for.ts'

/** Runs in the page: how long each frame takes, and how many rows there ever are. */
const scrollThrough = `(async () => {
  const scroller = document.querySelector('.scroller')
  const frames = []
  let [last, most] = [performance.now(), 0]
  for (let step = 0; step < 120; step++) {
    scroller.scrollTop += step < 60 ? 300 : 4000
    await new Promise(resolve => requestAnimationFrame(resolve))
    const now = performance.now()
    frames.push(now - last)
    last = now
    most = Math.max(most, document.querySelectorAll('.all .row').length)
  }
  return { frames: frames.sort((a, b) => a - b), most }
})()`

/** Runs in the page: the row at one place of the screen. */
const rowInSight = "document.elementFromPoint(400, document.querySelector('.scroller').getBoundingClientRect().top + 200)?.closest('.row')?.getAttribute('data-id')"

t.test('a long list in Chromium', { skip: noBrowser }, async t => {
  ensureBuilt()
  const browser = await startBrowser(t)
  const product = await startProduct(t)

  t.test('10,000 live rows scroll smoothly, and hold the reader\'s place', async t => {
    const tab = await openTab(browser, product, '?path__gte=%2Fv3%2Fmade&path__lte=%2Fv3%2Fmadf')
    const { page } = tab
    await page.getByRole('button', { name: 'Live', exact: true }).waitFor()
    const count = async () => Number(await page.getByRole('grid').getAttribute('aria-rowcount')) - 1
    for (let made = 400; made <= 10_000; made += 400) {
      record(product, {}, 400)
      await waitFor('the rows', count, rows => rows === made, 10_000)
    }
    const { frames, most } = await page.evaluate<{ frames: number[], most: number }>(scrollThrough)
    t.comment(`frames: median ${frames[60]?.toFixed(1)} ms, p95 ${frames[114]?.toFixed(1)} ms; most rows on the page: ${most}`)
    t.ok(most < 80, 'only what is in sight is on the page')
    t.ok((frames[60] as number) < 250, 'and a frame is drawn soon, on a machine that does other things too')
    t.ok(await rowsOf(page).count() > 10, 'and it is there')

    await page.evaluate("document.querySelector('.scroller').scrollTop = 2600")
    const place = () => page.evaluate(rowInSight)
    await page.waitForTimeout(200)
    const before = await place()
    record(product, {}, 50)
    await page.getByRole('button', { name: '50 new' }).waitFor()
    t.equal(await place(), before, 'new rows above move nothing')
    t.equal(await count(), 10_000, 'and the oldest make room')
    await page.getByRole('button', { name: '50 new' }).click()
    await waitFor('the top', () => page.evaluate("document.querySelector('.scroller').scrollTop"), top => top === 0)
    assertClean(t, tab)
    await page.close()
  })
})
