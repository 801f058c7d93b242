import fc from 'fast-check'
import { test } from 'tap'
import { chainStreams } from '../../src/access-key/body-stream.ts'
import { createUrlRewriter } from '../../src/access-key/body-urls.ts'
import { createScrubber } from '../../src/access-key/scrubber.ts'
import { Secret } from '../../src/access-key/secret.ts'
import { anyCuts, passThrough } from '../support/chunks.ts'
import { fuzzRuns } from '../support/fuzz.ts'
import { makeKey } from '../support/synthetic-keys.ts'

const api = 'https://api.us-east-1.mbedcloud.com'
const proxy = 'http://localhost:8080'
const rewriteWhole = (text: string) => passThrough(createUrlRewriter(api, proxy), [Buffer.from(text)])
const escaped = (text: string) => text.replaceAll('/', '\\/')

test('rewrites strings that begin with exactly the origin of the API', async t => {
  const cases: [before: string, after: string][] = [
    [`{"url":"${api}/v3/devices/1"}`, `{"url":"${proxy}/v3/devices/1"}`],
    [`["${api}"]`, `["${proxy}"]`],
    [`["${api}?a=b","${api}#c"]`, `["${proxy}?a=b","${proxy}#c"]`],
    [`{"url": "${escaped(api)}\\/v3\\/x"}`, `{"url": "${escaped(proxy)}\\/v3\\/x"}`],
    [`{"a":"${api}/1","b":{"c":["${api}/2"]},"d":"é"}`, `{"a":"${proxy}/1","b":{"c":["${proxy}/2"]},"d":"é"}`],
    [`"${api}/${api}/"`, `"${proxy}/${api}/"`]
  ]
  for (const [before, after] of cases) t.equal(rewriteWhole(before), after)
})

test('leaves every other host, port and text', async t => {
  const bodies = [
    `{"url":"${api}.evil/v3"}`, `{"url":"${api}:443/v3"}`, `{"url":"${api}:8443"}`, `{"url":"${api}@evil/v3"}`, `{"url":"${api}x"}`, `{"url":"${api}-x/"}`, `{"url":"${api}%2e/"}`,
    `{"url":"${api.replace('https', 'http')}/v3"}`, `{"url":"https://evil/?next=${api}/v3"}`, '{"url":"https://xapi.us-east-1.mbedcloud.com/"}', '{"url":"//api.us-east-1.mbedcloud.com/"}',
    `{"text":"see ${api}/v3"}`, `{"json":"{\\"url\\":\\"${api}/v3\\"}"}`, `{"url":"${api}\\u002fv3"}`, `{"url":"${api}\\n"}`, `{"url":"https:\\/${api.slice(7)}/"}`, '', '"', `${api}/v3`
  ]
  for (const body of bodies) t.equal(rewriteWhole(body), body, body)
})

test('what it does to a body is the same however the body is cut', async () => {
  const pieces = ['"', '\\', '/', '\\/', ':', '.', '?', '@', '"https:', '"https://', '"https:\\/\\/', 'api.us-east-1.mbedcloud.com', '.com', api, `"${api}`, `"${api}/v3"`, `"${escaped(api)}\\/v3"`, ',', ' ', 'é']
  const body = fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map(parts => parts.join(''))
  fc.assert(fc.property(anyCuts(body), chunks => {
    const whole = Buffer.concat(chunks).toString()
    return passThrough(createUrlRewriter(api, proxy), chunks) === rewriteWhole(whole)
  }), fuzzRuns())
})

test('agrees with a JSON parser on what is a URL of the API', async () => {
  const text = fc.oneof(fc.constantFrom(api, `${api}/v3/x`, `${api}?a`, `${api}.evil/`, `${api}:443/`, `"${api}/`, `\\${api}/`, `a "${api}/v3" b`), fc.string())
  const json = fc.tuple(fc.array(text), fc.boolean()).map(([texts, escapes]) => ({ texts, body: escapes ? escaped(JSON.stringify(texts)) : JSON.stringify(texts) }))
  fc.assert(fc.property(json, ({ texts, body }) => {
    const expected = texts.map(text => text.startsWith(api) && (text === api || /^[/?#]/.test(text.slice(api.length))) ? proxy + text.slice(api.length) : text)
    return JSON.stringify(JSON.parse(rewriteWhole(body))) === JSON.stringify(expected)
  }), fuzzRuns())
})

test('passes a chunk with nothing to rewrite as it is, and holds only what may become an origin', async t => {
  const rewriter = createUrlRewriter(api, proxy)
  const chunk = Buffer.from('{"a":"https://example.com/x","b":1}\n')
  t.equal(rewriter.push(chunk), chunk)
  t.equal(rewriter.push(Buffer.from('{"a":"https://api.us')).toString(), '{"a":')
  t.equal(rewriter.push(Buffer.from('.example"')).toString(), '"https://api.us.example')
  t.equal(rewriter.end().toString(), '"')
  t.ok(rewriter.changesLength)
})

test('stands behind the scrubber in one stream', async t => {
  const key = makeKey()
  const chain = () => chainStreams(createScrubber([new Secret(key)]), createUrlRewriter(api, proxy))
  const body = `{"url":"${api}/v3?key=${key}","last":"https://api.us`
  const clean = `{"url":"${proxy}/v3?key=[access key removed]${'*'.repeat(91)}","last":"https://api.us`
  for (const size of [1, 7, 1000]) {
    const chunks = Buffer.from(body).toString('latin1').match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []
    const out = passThrough(chain() as never, chunks.map(chunk => Buffer.from(chunk, 'latin1')))
    t.match(out.replace(/key=[^[]{0,7}\[access key removed\]\*+/, 'key='), clean.replace(/key=\[access key removed\]\*+/, 'key='), `${size}`)
  }
  t.equal(chainStreams(undefined, undefined), undefined)
})
