import fc from 'fast-check'
import t from 'tap'
import { judgeTarget } from '../../src/guard/target.ts'
import { fuzzRuns } from '../support/fuzz.ts'
import { fullKey, memberToken } from '../support/credentials.ts'
import { sendRaw, startGuardedApp } from '../support/guarded-app.ts'

/** Pieces that mean something to somebody who parses paths, and whatever else there is. */
const pieces = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom('/', '//', '.', '..', '%2e', '%2E', '%2f', '%5c', '\\', ';', '%3b', '%00', '%25', '%252e', '%', '%4', '%zz', '%c0%ae', '%C3%A9', '%20', '?', '#', '&', '=', '@', ':', '_proxy', '%5fproxy', 'v3', 'api-keys', 'evil.example', 'http:', '*', ' ', '\t', '\x00', '\x7f', '\xe9') },
  { weight: 12, arbitrary: fc.oneof(fc.constantFrom('/', '/', '?', '&a='), fc.stringMatching(/^[a-z0-9._~-]{0,7}[a-z0-9_~-]$/)) },
  { weight: 1, arbitrary: fc.constantFrom(fullKey, memberToken, `apiKey=${fullKey}`, 'filter=a%3Db%26c%3Dd') },
  { weight: 1, arbitrary: fc.string({ maxLength: 8 }) })
const targets = fc.oneof(fc.array(pieces, { maxLength: 12 }).map(list => '/' + list.join('')), fc.array(pieces, { maxLength: 12 }).map(list => list.join('')))

/** The path as somebody reads it who decodes as often as he can, and cuts parameters off: no policy may be got around by it. */
function readEagerly (path: string): string {
  let read = path
  for (let depth = 0; depth < 3; depth++) read = read.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return read.replaceAll('\\', '/')
}

t.test('the targets tried are of both kinds', async t => {
  const tried = fc.sample(targets, { numRuns: 2000, seed: 1 })
  const share = tried.filter(raw => typeof judgeTarget(raw) !== 'string').length / tried.length
  t.ok(share > 0.3 && share < 0.8, `${share}`)
})

t.test('any target is refused, or forwarded byte for byte, less keys and a second leading slash', async () => {
  fc.assert(fc.property(targets, raw => {
    const verdict = judgeTarget(raw)
    if (typeof verdict === 'string') return
    const { forward, path, query, canonicalPath, notes } = verdict
    if (forward !== path && forward !== `${path}?${query}`) throw new Error('path and query are not what is forwarded')
    const expected = raw.startsWith('//') ? raw.slice(1) : raw
    if (notes.length === 0 && forward !== expected) throw new Error(`forwarded as ${forward}`)
    if (notes.length > 0 && (path !== expected.split('?', 1)[0] || !query.split('&').every(parameter => parameter === '' || expected.includes(parameter)))) throw new Error(`hygiene made ${forward}`)
    if (!/^\/(?!\/)[!-~]*$/.test(forward)) throw new Error('a byte or a start that may not be forwarded')
    if (forward.includes(fullKey) || forward.includes(memberToken)) throw new Error('a credential is forwarded')
    if (/\/\//.test(canonicalPath) || !canonicalPath.startsWith('/')) throw new Error(`canonical path ${canonicalPath}`)
  }), fuzzRuns(2000))
})

t.test('no way of reading a path that was let in leads out of it, or to another resource', async () => {
  fc.assert(fc.property(targets, raw => {
    const verdict = judgeTarget(raw)
    if (typeof verdict === 'string') return
    const segments = readEagerly(verdict.path).split('/')
    if (segments.some(segment => segment === '.' || segment === '..')) throw new Error('a dot segment')
    // eslint-disable-next-line no-control-regex
    if (segments.some(segment => /^[\x00-\x20\x7f]|[.\x00-\x20\x7f]$/.test(segment))) throw new Error('a segment that is another one when trimmed')
    if (readEagerly(verdict.path).includes('\0')) throw new Error('a NUL')
    if (segments.length !== verdict.path.split('/').length) throw new Error('a slash that only some see')
    if (new URL(verdict.path.replaceAll('//', '/x/'), 'http://here.invalid').origin !== 'http://here.invalid') throw new Error('another host')
  }), fuzzRuns(2000))
})

t.test('on the wire: a target reaches the route as it was sent, or is refused with 400', async () => {
  const { app, port, reached } = await startGuardedApp()
  try {
    await fc.assert(fc.asyncProperty(targets, async raw => {
      const before = reached.length
      const { status } = await sendRaw(port, `GET ${raw} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`, { quietMs: 1000 })
      const request = reached[before]
      if (request === undefined ? status < 400 || status > 505 : status !== 200) throw new Error(`${status}`)
      // Node takes more than one space between the parts of a request line (RFC 9112 §3: may be parsed so).
      const sent = raw.replace(/^ +| +$/g, '')
      if (request?.target.notes.length === 0 && request.target.forward !== (sent.startsWith('//') ? sent.slice(1) : sent)) throw new Error(`arrived as ${request.target.forward}`)
    }), { ...fuzzRuns(100), interruptAfterTimeLimit: 100_000 })
  } finally {
    await app.close()
  }
})
