import fc from 'fast-check'
import { test } from 'tap'
import { isWithin, parseRule, RuleSet } from '../../src/team/pattern.ts'

const exact = { foldCase: false }

test('a rule matches methods and paths as the table says', async t => {
  const table: Array<[rule: string, method: string, path: string, matches: boolean]> = [
    ['GET /v3/devices', 'GET', '/v3/devices', true],
    ['GET /v3/devices', 'GET', '/v3/devices/', true],
    ['GET /v3/devices/', 'GET', '/v3/devices', true],
    ['GET /v3/devices', 'HEAD', '/v3/devices', true],
    ['HEAD /v3/devices', 'GET', '/v3/devices', false],
    ['GET /v3/devices', 'POST', '/v3/devices', false],
    ['GET /v3/devices', 'GET', '/v3/devices/1', false],
    ['GET /v3/devices', 'GET', '/v3/device', false],
    ['GET /v3/devices', 'GET', '/v3/Devices', false],
    ['get /v3/devices', 'GET', '/v3/devices', true],
    ['GET,POST /a', 'POST', '/a', true],
    ['GET|POST /a', 'POST', '/a', true],
    ['GET,POST /a', 'PUT', '/a', false],
    ['* /a', 'DELETE', '/a', true],
    ['/a', 'PURGE', '/a', true],
    ['GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS /a', 'PURGE', '/a', false],
    ['/v3/devices/*', 'GET', '/v3/devices/1', true],
    ['/v3/devices/*', 'GET', '/v3/devices/1/', true],
    ['/v3/devices/*', 'GET', '/v3/devices', false],
    ['/v3/devices/*', 'GET', '/v3/devices/1/logs', false],
    ['/*/devices/*/console', 'GET', '/v3alpha/devices/1/console', true],
    ['/v3/devices/**', 'GET', '/v3/devices', true],
    ['/v3/devices/**', 'GET', '/v3/devices/', true],
    ['/v3/devices/**', 'GET', '/v3/devices/1/logs/2', true],
    ['/v3/devices/**', 'GET', '/v3/devicesque', false],
    ['/**', 'GET', '/', true],
    ['/**', 'GET', '/anything/at/all', true],
    ['/**/console', 'GET', '/console', true],
    ['/**/console', 'GET', '/v3/devices/1/console', true],
    ['/**/console', 'GET', '/v3/console/1', false],
    ['/v3/**/logs/*', 'GET', '/v3/a/b/logs/1', true],
    ['/v3/**/logs/*', 'GET', '/v3/logs/logs/1', true],
    ['/v3/**/logs/*', 'GET', '/v3/logs/1', true],
    ['/v3/**/logs/*', 'GET', '/v3/logs', false],
    ['/v3/**/logs/**', 'GET', '/v3/x/logs', true],
    ['/v3/**/logs/**', 'GET', '/v3/x/log', false],
    ['/v3/devices/abc*', 'GET', '/v3/devices/abcdef', true],
    ['/v3/devices/abc*', 'GET', '/v3/devices/abc', true],
    ['/v3/devices/abc*', 'GET', '/v3/devices/ab', false],
    ['/v3/devices/*xyz', 'GET', '/v3/devices/wxyz', true],
    ['/v3/devices/a*z', 'GET', '/v3/devices/az', true],
    ['/v3/devices/aa*aa', 'GET', '/v3/devices/aaa', false],
    ['/a/b', 'GET', '/a//b', true],
    ['/a.c', 'GET', '/abc', false],
    ['/', 'GET', '/', true],
    ['/', 'GET', '/a', false]
  ]
  for (const [rule, method, path, matches] of table) {
    t.equal(new RuleSet([parseRule(rule)], exact).find(method, path)?.text, matches ? rule : undefined, `${rule} — ${method} ${path}`)
  }
})

test('rules that deny ignore the case of the path, rules that allow do not', async t => {
  const rules = [parseRule('GET /v3/Api-Keys/a*')]
  t.ok(new RuleSet(rules, { foldCase: true }).find('GET', '/V3/api-keys/ABC'))
  t.notOk(new RuleSet(rules, exact).find('GET', '/V3/api-keys/ABC'))
})

// Spring once served /v3/api-keys.json as /v3/api-keys, others end a path at an encoded ? or #, or normalise Unicode: a denial must hold for those readings too.
test('rules that deny hold for whatever an API may read into the path, rules that allow do not', async t => {
  const rules = [parseRule('GET /v3/api-keys/**')]
  for (const path of ['/v3/api-keys.json', '/v3/API-keys.json', '/v3/api-keys.json/x', '/v3/api-keys%3F', '/v3/api-keys%23/x', '/v3/api-keys.x%3Fy.z', '/v3/\uFF41pi-keys', '/v3\uFF0Fapi-keys', '/v3/api-key\u017F']) {
    t.ok(new RuleSet(rules, { foldCase: true }).find('GET', path), path)
    t.notOk(new RuleSet(rules, exact).find('GET', path), path)
  }
  t.notOk(new RuleSet(rules, { foldCase: true }).find('GET', '/v3/x.api-keys'))
  const dotted = new RuleSet([parseRule('/a/b.json'), parseRule('/a/b')], { foldCase: true })
  t.equal(dotted.find('GET', '/a/b.json')?.text, '/a/b.json', 'as it stands first')
})

test('the first rule in the order of the file decides, however they are compiled', async t => {
  const rules = ['/v3/**', 'GET /v3/devices/*', 'GET /v3/devices/1', '/**'].map(parseRule)
  t.equal(new RuleSet(rules, exact).find('GET', '/v3/devices/1')?.text, '/v3/**')
  t.equal(new RuleSet(rules.toReversed(), exact).find('GET', '/v3/devices/1')?.text, '/**')
  t.equal(new RuleSet(rules.slice(1), exact).find('GET', '/v3/devices/1')?.text, 'GET /v3/devices/*')
  t.equal(new RuleSet(rules.slice(1), exact).find('PUT', '/v3/devices/1')?.text, '/**')
  t.equal(new RuleSet([], exact).find('GET', '/'), undefined)
})

test('what is not a rule is refused with the reason', async t => {
  const table: Array<[string, RegExp]> = [
    ['v3/devices', /a path that starts with/],
    ['GET v3/devices', /a path that starts with/],
    ['', /is not a rule/],
    ['GET', /is not a rule/],
    ['GET /a /b', /is not a rule/],
    ['FETCH /a', /"FETCH".*known are GET/],
    ['GET, POST /a', /is not a rule/],
    ['/a?b=1', /without its query/],
    ['/a%20b', /decoded path/],
    ['/a/../b', /dot segment/],
    ['/a*b*c', /may have one \*/],
    ['/a***', /may have one \*/],
    ['/**/a/**/b', /one \*\* inside/]
  ]
  for (const [rule, reason] of table) t.throws(() => parseRule(rule), reason, rule)
})

test('the compiled set agrees with the plain reading of each rule, on anything', async t => {
  const segment = fc.constantFrom('a', 'b', 'ab', 'ba', 'abc')
  const part = fc.constantFrom('a', 'b', 'ab', '*', 'a*', '*b', 'a*b')
  const rule = fc.tuple(fc.array(part, { maxLength: 3 }), fc.boolean(), fc.array(part, { maxLength: 2 }), fc.boolean())
    .map(([before, inside, after, end]) => '/' + [...before, ...(inside ? ['**'] : []), ...after, ...(end ? ['**'] : [])].join('/'))
  const path = fc.array(segment, { maxLength: 5 }).map(segments => '/' + segments.join('/'))
  fc.assert(fc.property(fc.array(rule, { minLength: 1, maxLength: 6 }), path, (rules, path) => {
    const expected = rules.find(rule => toExpression(rule).test(path === '/' ? '' : path))
    return new RuleSet(rules.map(parseRule), exact).find('GET', path)?.text === expected
  }), { numRuns: 2000 })
})

/** The slow and obvious way. */
function toExpression (rule: string): RegExp {
  const parts = rule.split('/').filter(part => part !== '').map(part => part === '**' ? '(/[^/]+)*' : '/' + (part === '*' ? '[^/]+' : part.replaceAll('*', '[^/]*')))
  return new RegExp(`^${parts.join('')}$`)
}

test('a long path costs no more than its length', async t => {
  const rules = new RuleSet(['/**/a/b/c/**', '/v3/**/x*', '/a/**/a/a/b'].map(parseRule), exact)
  const path = '/a'.repeat(8000)
  const startedAt = performance.now()
  for (let round = 0; round < 20; round++) rules.find('GET', path)
  t.ok(performance.now() - startedAt < 2000, `${Math.round(performance.now() - startedAt)} ms for 20 paths of 16 KiB`)
})

test('knows when a rule lies within others', async t => {
  const outer = new RuleSet(['/*/devices/*/console/**', 'POST,PUT /v3/accounts/**', '/v3/api-keys/**'].map(parseRule), { foldCase: true })
  const table: Array<[string, boolean]> = [
    ['GET /v3/devices/*/console', true],
    ['GET /v3/devices/1/console', true],
    ['/v3/devices/*/console/**', true],
    ['GET /V3/Devices/*/Console', true],
    ['/v3/devices/**', false],
    ['/v3/devices/*/*', false],
    ['/**', false],
    ['/**/console', false],
    ['POST /v3/accounts/*', true],
    ['/v3/accounts/*', false],
    ['GET /v3/accounts/me', false],
    ['/v3/api-keys', true],
    ['/v3/api-keys/**', true],
    ['/v3/*/**', false],
    ['/v3/api*/**', false]
  ]
  for (const [rule, within] of table) t.equal(isWithin(parseRule(rule), outer), within, rule)
})
