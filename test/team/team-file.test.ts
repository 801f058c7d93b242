import { test } from 'tap'
import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { decodeTeam, TeamFileError } from '../../src/team/team-file.ts'
import { renderTeamSchema } from '../../src/team/team-schema.ts'
import { createToken } from '../../src/team/token.ts'

const keyDefaults = { concurrency: 256, longPolls: null }
const digest = 'a'.repeat(64)

function decode (team: unknown) {
  return decodeTeam('team.json', typeof team === 'string' ? team : JSON.stringify(team), keyDefaults)
}

function mistakesIn (team: unknown): readonly string[] {
  try {
    decode(team)
    return []
  } catch (error) {
    if (error instanceof TeamFileError) return error.problems
    throw error
  }
}

test('decodes members with their defaults', async t => {
  const team = decode({
    key: { rate: '600/m', maxWait: '500ms' },
    defaults: { rate: '20/s', presets: ['no-delete'], daily: 1000 },
    members: {
      alice: { role: 'admin', tokens: [{ sha256: digest, expires: '2027-01-31T12:00:00Z' }], rate: null, allow: ['GET /v3/**'] },
      'bob@example.com': { burst: 5, concurrency: 64, daily: null, longPolls: null, webSockets: 3, mode: 'report', devices: ['0161*'] }
    }
  })
  t.same(team.key, { rate: { perSecond: 10, burst: 20 }, concurrency: 256, longPolls: null, webSockets: null, ofKey: { concurrency: false, longPolls: false }, maxWaitMs: 500, maxWaiting: 10_000 })
  t.same([...team.members.values()], [
    {
      name: 'alice',
      role: 'admin',
      tokens: [{ digest, expiresMs: Date.UTC(2027, 0, 31, 12) }],
      policy: { role: 'admin', mode: 'enforce', presets: ['no-delete'], allow: ['GET /v3/**'], deny: [], devices: [] },
      limits: { rate: null, concurrency: null, daily: 1000, longPolls: 4, webSockets: 32 }
    },
    {
      name: 'bob@example.com',
      role: 'member',
      tokens: [],
      policy: { role: 'member', mode: 'report', presets: ['no-delete'], allow: [], deny: [], devices: ['0161*'] },
      limits: { rate: { perSecond: 20, burst: 5 }, concurrency: 64, daily: null, longPolls: null, webSockets: 3 }
    }
  ])
})

test('says every mistake at once, with its path and what was meant', async t => {
  const mistakes = mistakesIn({
    member: {},
    defaults: { rate: 20, prests: [] },
    key: { maxWait: 'long' },
    members: {
      alice: { role: 'boss', presets: ['readonly', 'no-delete'], tokens: [{ sha256: 'ABC' }, { expires: 'never' }], concurency: 3 },
      'a b': {},
      bob: { mode: 'reports', allow: 'GET /', daily: 0, burst: 1.5 },
      carol: []
    }
  })
  t.same(mistakes, [
    'member: no such property; did you mean members?',
    'defaults.rate: expected a rate such as 20/s, 600/m or 1000/h, or null for no limit, found 20',
    'defaults.prests: no such property; did you mean presets?',
    'key.maxWait: expected a duration such as 500ms or 5s, found "long"',
    'members.alice.role: expected "admin" or "member", found "boss"',
    'members.alice.presets[0]: expected one of read-only, no-delete, no-remote-shell, no-key-management, found "readonly"; did you mean read-only?',
    'members.alice.tokens[0].sha256: expected 64 lowercase hex digits, the SHA-256 of a token, found "ABC"',
    'members.alice.tokens[1].sha256: is missing',
    'members.alice.tokens[1].expires: expected a time such as 2027-01-31T12:00:00Z, found "never"',
    'members.alice.concurency: no such property; did you mean concurrency?',
    'members["a b"]: this name won\'t do: letters, digits and . _ @ + -, at most 64, the first a letter or digit',
    'members.bob.mode: expected "enforce" or "report", found "reports"; did you mean report?',
    'members.bob.allow: expected a list, found "GET /"',
    'members.bob.daily: expected a whole number from 1, or null for no limit, found 0',
    'members.bob.burst: expected a whole number from 1, found 1.5',
    'members.carol: expected an object, found []'
  ])
})

test('no mistake hides another: what fits the schema is looked at whatever doesn\'t', async t => {
  t.same(mistakesIn({
    key: { rate: 20, burst: 3 },
    members: {
      'a b': { rol: 'admin', allow: ['GET /v3/devices', 7, 'nope'], tokens: ['x', { sha256: digest }, { sha256: 'A', expires: '2027-13-01' }] },
      bob: { tokens: [{ sha256: digest }] }
    }
  }), [
    'key.rate: expected a rate such as 20/s, 600/m or 1000/h, or null for no limit, found 20',
    'members["a b"]: this name won\'t do: letters, digits and . _ @ + -, at most 64, the first a letter or digit',
    'members["a b"].rol: no such property; did you mean role?',
    'members["a b"].allow[1]: expected a rule such as "GET /v3/devices/**", found 7',
    'members["a b"].tokens[0]: expected an object, found "x"',
    'members["a b"].tokens[2].sha256: expected 64 lowercase hex digits, the SHA-256 of a token, found "A"',
    'members["a b"].allow[2]: "nope" is not a rule such as "GET /v3/devices/**" (methods, a space, a path that starts with /)',
    'members["a b"].tokens[2].expires: there is no such time as 2027-13-01',
    'members.bob.tokens[0].sha256: is also members["a b"].tokens[1]; a token belongs to one member, once'
  ])
})

test('says what contradicts itself', async t => {
  t.same(mistakesIn({
    defaults: { allow: ['v3'], devices: ['a/b'] },
    key: { burst: 3 },
    members: {
      alice: { tokens: [{ sha256: digest }], allow: ['GET /v3/../x'], deny: ['FETCH /'], burst: 3, rate: null },
      bob: { tokens: [{ sha256: digest, expires: '2027-02-31' }, { sha256: 'b'.repeat(64), expires: '2027-13-01' }] },
      carol: { rate: '0/s' },
      local: {}
    }
  }), [
    'defaults.allow[0]: "v3" is not a rule such as "GET /v3/devices/**" (methods, a space, a path that starts with /)',
    'defaults.devices[0]: "a/b" is not a device id (one * at its beginning or end may stand for anything)',
    'key.burst: means nothing without a rate',
    'members.alice.allow[0]: "GET /v3/../x" holds a dot segment, which no judged path has',
    'members.alice.deny[0]: "FETCH /" has the method "FETCH"; known are GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS and * for all',
    'members.alice.burst: means nothing without a rate',
    'members.bob.tokens[0].sha256: is also members.alice.tokens[0]; a token belongs to one member, once',
    'members.bob.tokens[1].expires: there is no such time as 2027-13-01',
    'members.carol.rate: a rate of nothing lets nothing pass; take the tokens away instead',
    'members.local: the name local is kept for requests of a proxy without a team'
  ])
})

test('a name that stands there twice is a mistake, not the end of the first', async t => {
  t.same(mistakesIn('{"members":{"alice":{"deny":["/a"],"allow":["/a:","/\\"deny\\":"],"deny":[]},"bob":{"tokens":[{"sha256":"' + digest + '","sha256":"' + digest + '"}]},"alice":{}}}'), [
    'members.alice.deny: stands there twice, and only the last would count',
    'members.bob.tokens[].sha256: stands there twice, and only the last would count',
    'members.alice: stands there twice, and only the last would count'
  ])
})

test('what is not JSON is located, and never quoted: it may hold a token', async t => {
  const token = createToken()
  t.same(mistakesIn('{"members": '), ['is not JSON: it ends too early'])
  t.same(mistakesIn('{\n"members": {,'), ['is not JSON: there is a syntax error (line 2 column 13)'])
  const [mistake = ''] = mistakesIn(`{\n  "members": { ${token} }\n}`)
  t.match(mistake, /^is not JSON: there is a syntax error/)
  t.notMatch(mistake, token.slice(0, 8))
  t.match(mistakesIn('[]'), ['the file: expected an object, found []'])
  t.match(mistakesIn('{}'), ['members: is missing'])
  t.same(mistakesIn('\uFEFF{"members":{}}'), [], 'a byte order mark is no mistake')
})

test('a token in the place of its digest is not repeated', async t => {
  const token = createToken()
  const [mistake = ''] = mistakesIn({ members: { alice: { tokens: [{ sha256: token }] } } })
  t.equal(mistake, 'members.alice.tokens[0].sha256: expected 64 lowercase hex digits, the SHA-256 of a token, found something secret (not shown)')
})

test('the published schema is in step, and a standard validator agrees with it on the example', async t => {
  const published = readFileSync('config/team.schema.json', 'utf8')
  t.equal(published, renderTeamSchema(), 'node -e "import(\'./src/team/team-schema.ts\').then(m => fs.writeFileSync(\'config/team.schema.json\', m.renderTeamSchema()))"')
  const validate = new Ajv({ strict: true, allowUnionTypes: true }).compile(JSON.parse(published) as object)
  const example = readFileSync('config/team.example.json', 'utf8')
  t.ok(validate(JSON.parse(example)), JSON.stringify(validate.errors))
  t.notOk(validate({ members: { alice: { role: 'boss' } } }))
  t.notOk(validate({ members: { alice: { deni: [] } } }))
  t.notOk(validate({ members: { 'a b': {} } }))
  t.ok(decode(example).members.size >= 3)
})
