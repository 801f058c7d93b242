import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { runCommand } from '../support/process.ts'
import { makeFolder, runHere } from '../support/terminal.ts'

t.test('the demo shows a refusal, an answer and a removed key, and takes another port when its own is taken', async t => {
  const cwd = makeFolder(t)
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { server.close() })
  const { port } = server.address() as AddressInfo
  const { code, stdout, stderr } = await runCommand(['demo', '--once', '--devices', '50', '--listen', `127.0.0.1:${port}`], { cwd })
  t.equal(code, 0, stderr)
  t.match(stdout, new RegExp(`Port ${port} is taken, so the demo uses a free one`))
  t.match(stdout, /the API says 401[^]*the API says 200, 2 devices[^]*Authorization: Bearer ak_… \(the key, put there by the proxy\)[^]*saw \/v3\/devices\?limit=2: the key was taken out/)
  t.notMatch(stdout, /ak_[0-9][A-Za-z0-9+/=]{60}/)
})

t.test('the demo minds nobody\'s own settings, whole or half', async t => {
  const dotenv = { IZUMA_ACCESS_KEY_COMMAND: 'false', PROXY_TEAM_FILE: 'missing.json', IZUMA_HTTPS_PROXY: 'http://127.0.0.1:1' }
  const { code, stdout, stderr } = await runHere(['demo', '--once', '--devices', '10', '--listen', '127.0.0.1:0'], { environment: { IZUMA_ACCESS_KEY: 'whatever' }, readDotenv: () => dotenv })
  t.equal(code, 0, stderr)
  t.match(stdout, /the API says 200/)
})
