import t from 'tap'
import { loadSettings, suggest, type SettingsError, type Sources } from '../../src/config/load.ts'
import { rows } from '../../src/config/table.ts'

const load = (sources: Partial<Sources>) => loadSettings({ flags: {}, environment: {}, dotenv: {}, ...sources })

function problemsOf (sources: Partial<Sources>): string[] {
  try {
    load(sources)
    return []
  } catch (error) {
    return (error as SettingsError).problems
  }
}

t.test('everything has a sound default', async t => {
  t.match(load({}), {
    region: 'us-east-1',
    listen: { host: '127.0.0.1', port: 8080 },
    trail: { kind: 'sqlite', path: 'data/trail.db' },
    trailRetention: 30 * 86_400_000,
    trailOnFailure: 'block',
    channel: 'on-demand',
    allowedHosts: ['localhost', '127.0.0.1', '[::1]'],
    allowedOrigins: []
  })
})

t.test('flag beats environment beats .env beats default', async t => {
  const dotenv = { PROXY_LISTEN: '127.0.0.1:3', PROXY_LOG_LEVEL: 'debug' }
  const environment = { PROXY_LISTEN: '127.0.0.1:2', PROXY_LOG_LEVEL: '' }
  t.match(load({ dotenv, environment, flags: { '--listen': '127.0.0.1:1' } }), { listen: { port: 1 } })
  t.match(load({ dotenv, environment }), { listen: { port: 2 }, logLevel: 'debug' }, 'an empty variable is not set')
  t.match(load({ dotenv }), { listen: { port: 3 } })
})

t.test('every wrong setting is named in one message', async t => {
  const environment = { IZUMA_REGION: 'eu', PROXY_LISTEN: 'here', PROXY_TRAIL_RETENTION: '30 days', PROXY_LISTN: '1', IZUMA_API_HOST: 'http://api.example' }
  const problems = problemsOf({ environment, flags: { '--trail-retenton': '1d' }, dotenv: { PROXY_CHANEL: 'off' } })
  t.equal(problems.length, 7)
  const all = problems.join('\n')
  t.match(all, /PROXY_LISTN: no such setting; did you mean PROXY_LISTEN\?/)
  t.match(all, /--trail-retenton: no such setting; did you mean --trail-retention\?/)
  t.match(all, /PROXY_CHANEL: no such setting; did you mean PROXY_CHANNEL\? \(in \.env\)/)
  t.match(all, /IZUMA_REGION = "eu": expected one of us-east-1/)
  t.match(all, /PROXY_TRAIL_RETENTION = "30 days": expected a duration such as/)
  t.match(all, /IZUMA_API_HOST = "http:\/\/api\.example": expected https:\/\/host\[:port\] and nothing else/)
})

t.test('what does not go together is named beside what is wrong by itself, unless that is the reason', async t => {
  t.match(problemsOf({ environment: { PROXY_LISTEN: '0.0.0.0:8080', IZUMA_REGION: 'mars', NODE_TLS_REJECT_UNAUTHORIZED: '0' } }), [/mars/, /PROXY_TEAM_FILE/, /unset it/])
  t.match(problemsOf({ flags: { '--tls-cert-file': '', '--listen': 'nowhere' } }), [/--listen/, /--tls-cert-file/])
  t.equal(problemsOf({ flags: { '--tls-cert-file': '', '--listen': 'nowhere' } }).length, 2)
})

t.test('a command may have defaults of its own, the weakest of all', async t => {
  const defaults = { PROXY_LOG_LEVEL: 'warn' }
  t.equal(load({ defaults }).logLevel, 'warn')
  t.equal(load({ defaults, dotenv: { PROXY_LOG_LEVEL: 'debug' } }).logLevel, 'debug')
})

t.test('the key is never a flag, and a secret value is never shown', async t => {
  t.match(problemsOf({ flags: { '--access-key': 'x' } }), [/never a flag/])
  const secret = 'postgres//user:hunter2@db'
  t.notMatch(problemsOf({ environment: { PROXY_TRAIL: secret } }).join(), /hunter2/)
  t.equal(rows.find(([key]) => key === 'accessKey')?.[1].flag, undefined)
})

t.test('settings that do not go together are refused with the way out', async t => {
  const cases: Array<[Record<string, string>, RegExp]> = [
    [{ PROXY_LISTEN: '0.0.0.0:8080' }, /PROXY_TEAM_FILE/],
    [{ PROXY_LISTEN: '[::]:8080' }, /PROXY_TEAM_FILE/],
    [{ PROXY_LISTEN: '10.0.0.1:8080' }, /PROXY_TEAM_FILE/],
    [{ PROXY_TLS_CERT_FILE: 'a' }, /belong together/],
    [{ IZUMA_ACCESS_KEY: 'a', IZUMA_ACCESS_KEY_FILE: 'b' }, /keep one/],
    [{ NODE_TLS_REJECT_UNAUTHORIZED: '0' }, /unset it/]
  ]
  for (const [environment, message] of cases) t.match(problemsOf({ environment }), [message], JSON.stringify(environment))
  for (const listen of ['127.0.0.1:0', 'localhost:8080', '[::1]:8080', 'unix:/run/proxy.sock', '127.9.9.9:1']) t.same(problemsOf({ environment: { PROXY_LISTEN: listen } }), [], listen)
})

t.test('exact origins only', async t => {
  t.same(load({ environment: { PROXY_ALLOWED_ORIGINS: 'http://localhost:5173, https://app.example:443' } }).allowedOrigins, ['http://localhost:5173', 'https://app.example'])
  for (const wrong of ['*', 'null', 'localhost:5173', 'http://a.example/path', 'http://*.example', 'file://x']) t.equal(problemsOf({ environment: { PROXY_ALLOWED_ORIGINS: wrong } }).length, 1, wrong)
})

t.test('a suggestion is made only when something is near', async t => {
  t.equal(suggest('PROXY_LISEN', ['PROXY_LISTEN', 'PROXY_TRAIL']), 'PROXY_LISTEN')
  t.equal(suggest('COMPLETELY_DIFFERENT', ['PROXY_LISTEN']), undefined)
})

t.test('every row has a name, a place in the reference and a sentence', async t => {
  for (const [key, row] of rows) {
    t.match(row.env, /^(IZUMA|PROXY)_[A-Z_]+$/, key)
    t.ok(row.doc.endsWith('.'), `${key}: a whole sentence`)
    if (row.default !== undefined) t.doesNotThrow(() => row.kind.decode(row.default as string))
  }
  t.equal(new Set(rows.map(([, row]) => row.env)).size, rows.length)
})
