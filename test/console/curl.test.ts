import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import t from 'tap'
import { writeCurl } from '../../src/console/web/curl.ts'

/** The words that a shell hands to curl. */
function wordsOf (command: string): string[] {
  const script = `curl () { for word in "$@"; do printf '%s\\0' "$word"; done; }\n${command}`
  const output = execFileSync('/bin/sh', ['-c', script], { env: { API_TOKEN: 'the token' }, encoding: 'utf8' })
  return output.split('\0').slice(0, -1)
}

const origin = 'http://127.0.0.1:8080'

t.test('says what was asked, through the proxy', async t => {
  t.equal(writeCurl({ method: 'GET', path: '/v3/devices', query: 'limit=2&filter=a%3Db' }, origin, false), "curl --globoff --path-as-is 'http://127.0.0.1:8080/v3/devices?limit=2&filter=a%3Db'")
  t.equal(writeCurl({ method: 'HEAD', path: '/v3/devices', query: '' }, origin, false), "curl --globoff --path-as-is --head 'http://127.0.0.1:8080/v3/devices'")
  t.same(wordsOf(writeCurl({ method: 'DELETE', path: '/v3/devices/1', query: '' }, origin, true)), ['--globoff', '--path-as-is', '--request', 'DELETE', '--header', 'Authorization: Bearer the token', `${origin}/v3/devices/1`])
  t.match(writeCurl({ method: 'POST', path: '/v3/x', query: '' }, origin, false), /--data @body\.json/)
})

// Path, query and method come from whoever sent the request; the command is pasted into an admin's shell.
t.test('whatever a client sent stays one word of data', async t => {
  const texts = fc.oneof(fc.string({ maxLength: 40 }), fc.constantFrom("'; touch x; '", '$(touch x)', '`touch x`', '\\', "'\\''", '\n touch x', '\u001b]0;x\u0007', '!!', '"'))
  fc.assert(fc.property(texts, texts, texts, (method, path, query) => {
    const words = wordsOf(writeCurl({ method: `X${method}`, path: `/${path}`, query }, origin, false))
    // eslint-disable-next-line no-control-regex
    const clean = (text: string) => text.replaceAll(/[\u0000-\u001f\u007f]/g, encodeURIComponent)
    return words.at(-1) === clean(`${origin}/${path}${query === '' ? '' : `?${query}`}`) && words[3] === clean(`X${method}`) && words.length === 5
  }), { numRuns: 40 })
})
