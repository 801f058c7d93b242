import { request, type IncomingMessage } from 'node:http'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { idOf, pagesById, startListingApi } from '../support/listing-api.ts'
import { startPagesProxy } from '../support/pages-proxy.ts'

const million = 1_000_000
const mebibyte = 1024 * 1024

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** What is alive in this process: the API of the test, the proxy and the client together. */
function measureLiveBytes (): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

t.test('memory stays flat over a million items, and every one of them arrives', async t => {
  const api = await startListingApi(t, pagesById(million, index => `{"id":"${idOf(index)}","object":"device","name":"Device ${index}"}`))
  // The test keeps what is logged, and each line would keep the block of memory it was cut from.
  const proxy = await startPagesProxy(t, { api, flags: { '--log-level': 'error' } })
  const answer = await new Promise<IncomingMessage>((resolve, reject) => request(`${proxy.url}/_proxy/pages/v3/devices`, resolve).on('error', reject).end())
  const live: number[] = []
  let items = 0
  let last = Buffer.alloc(0)
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) {
      if (++items % 100_000 === 0) live.push(measureLiveBytes())
    }
    last = Buffer.concat([last, chunk]).subarray(-200)
  }
  t.equal(items, million)
  t.match(last.toString(), `"name":"Device ${million - 1}"}\n`)
  t.equal(api.seen.length, 1000)
  const [first = 0, ...later] = live
  const history = live.map(bytes => Math.round(bytes / mebibyte)).join(', ')
  const [, , , , typical = 0] = later.toSorted((a, b) => a - b)
  t.ok(typical - first < 8 * mebibyte, `as much as after the first tenth: ${history} MiB`)
  t.ok(Math.max(...later) - first < 40 * mebibyte, 'and never much more')
})
