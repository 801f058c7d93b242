import fc from 'fast-check'
import t from 'tap'
import { allCases } from '../support/attack-cases.ts'
import { fuzzRuns } from '../support/fuzz.ts'
import { sendRaw, startGuardedApp, type GuardedApp } from '../support/guarded-app.ts'

const quiet = { quietMs: 25 }

async function judge ({ port, reached }: GuardedApp, pieces: string | string[]) {
  const before = reached.length
  const answer = await sendRaw(port, pieces, quiet)
  return { ...answer, reached: reached.length - before }
}

t.test('judges hand-written requests', async t => {
  const guarded = await startGuardedApp()
  t.teardown(() => guarded.app.close())
  for (const { title, bytes, verdict } of allCases) {
    const answer = await judge(guarded, bytes)
    const at = guarded.entries.length
    if (verdict === 'in') t.match(answer, { status: 200, reached: 1, closed: bytes.includes('HTTP/1.0') }, `lets in: ${title}`)
    else {
      t.match(answer, { reached: 0, closed: true }, `refuses: ${title}`)
      t.ok((answer.status >= 400 && answer.status < 500) || answer.status === 505, `${title}: ${answer.status}`)
      t.equal(answer.text.split(/HTTP\/1\.1 [0-9]{3} /).length, 2, `${title}: one answer`)
      t.match(answer.text, /\r\nx-proxy-error: [a-z_0-9]+\r\n/i, title)
      t.equal(guarded.entries.at(at - 1)?.status, answer.status, `${title}: in the trail`)
    }
  }
  t.equal(guarded.entries.length, allCases.length, 'one entry each')
})

t.test('cut into any pieces, a request gets the same verdict', async () => {
  const guarded = await startGuardedApp()
  t.teardown(() => guarded.app.close())
  const cut = fc.tuple(fc.constantFrom(...allCases), fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 6 }))
  await fc.assert(fc.asyncProperty(cut, async ([{ title, bytes, verdict }, places]) => {
    const answer = await judge(guarded, cutAt(bytes, places))
    if ((verdict === 'in') !== (answer.reached === 1) || (answer.status === 200) !== (verdict === 'in')) throw new Error(`${title}: ${answer.status}, reached ${answer.reached}`)
  }), { ...fuzzRuns(40), interruptAfterTimeLimit: 100_000 })
})

function cutAt (bytes: string, places: number[]): string[] {
  const ends = [...places.map(place => Math.floor(place * bytes.length)).sort((a, b) => a - b), bytes.length]
  return ends.map((end, i) => bytes.slice(ends[i - 1] ?? 0, end)).filter(piece => piece !== '')
}

t.test('a request behind a refused one is never read', async t => {
  const guarded = await startGuardedApp()
  t.teardown(() => guarded.app.close())
  for (const { title, bytes } of allCases.filter(({ verdict }) => verdict === 'out')) {
    const answer = await judge(guarded, `${bytes}GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    t.equal(answer.reached, 0, title)
  }
})

t.test('what stands behind a whole request is a request of its own', async t => {
  const guarded = await startGuardedApp()
  t.teardown(() => guarded.app.close())
  const { reached, text } = await judge(guarded, 'POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nGETGET /b HTTP/1.1\r\nHost: localhost\r\n\r\n')
  t.equal(reached, 2)
  t.equal(text.split('HTTP/1.1 200').length, 3)
})

t.test('garbage behind a request does not take the place of its answer', async t => {
  let release = () => {}
  const guarded = await startGuardedApp({ serve: () => new Promise(resolve => { release = () => resolve({ answer: 'of the first' }) }) })
  t.teardown(() => guarded.app.close())
  const answer = judge(guarded, ['GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n', 'GARBAGE\r\n\r\n'])
  while (guarded.reached.length === 0) await new Promise(resolve => setImmediate(resolve))
  setTimeout(() => release(), 50)
  const { text, closed } = await answer
  t.match(text, /^HTTP\/1\.1 200 [^]*of the first[^]*HTTP\/1\.1 400 /)
  t.ok(closed)
})

t.test('a body that breaks off in garbage ends its request, in the entry it has', async t => {
  const guarded = await startGuardedApp({ serve: () => new Promise(() => {}) })
  t.teardown(() => guarded.app.close())
  const { status, closed, text } = await judge(guarded, ['POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', 'ZZ\r\n'])
  t.equal(status, 400)
  t.ok(closed)
  t.equal(guarded.entries.length, 1)
  t.match(guarded.entries, [{ path: '/a', status: 400, error_type: 'header_invalid' }])
  t.match(text, `X-Proxy-Request-ID: ${guarded.entries[0]?.id}`)
})
