import type { Page } from 'playwright-core'
import t from 'tap'
import { noBrowser, startBrowser } from '../support/browser.ts'
import { ensureBuilt } from '../support/console-page.ts'
import { assertClean, openTab, record, rowsOf } from '../support/console-tab.ts'
import { startProduct } from '../support/product.ts'
import { waitFor } from '../support/wait-for.ts'

const frames = 120

/** Runs in the page: the most rows that there are in any of the frames. */
const scrollThrough = `(async () => {
  const scroller = document.querySelector('.scroller')
  let most = 0
  for (let step = 0; step < ${frames}; step++) {
    scroller.scrollTop += step < ${frames} / 2 ? 300 : 4000
    await new Promise(resolve => requestAnimationFrame(resolve))
    most = Math.max(most, document.querySelectorAll('.all .row').length)
  }
  return most
})()`

/** Runs in the page: the row at one place of the screen. */
const rowInSight = "document.elementFromPoint(400, document.querySelector('.scroller').getBoundingClientRect().top + 200)?.closest('.row')?.getAttribute('data-id')"

/** Counts what the page's own thread uses of the CPU from now on: whatever else the machine does is not in it. */
async function measureCpu (page: Page): Promise<() => Promise<number>> {
  const session = await page.context().newCDPSession(page)
  await session.send('Performance.enable', { timeDomain: 'threadTicks' })
  const read = async () => 1000 * ((await session.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN)
  const before = await read()
  return async () => await read() - before
}

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
      await waitFor('the rows', count, rows => rows === made)
    }
    const busyMs = await measureCpu(page)
    const most = await page.evaluate<number>(scrollThrough)
    const frameMs = await busyMs() / frames
    t.comment(`${frameMs.toFixed(1)} ms of CPU a frame; most rows on the page: ${most}`)
    t.ok(most < 80, 'only what is in sight is on the page')
    t.ok(frameMs < 50, `and a frame costs little: ${frameMs} ms`)
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
