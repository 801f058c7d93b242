import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { startSandbox } from '../../src/sandbox/index.ts'
import { runCommand, spawnMain } from '../support/process.ts'
import { makeFolder } from '../support/terminal.ts'
import { waitFor } from '../support/wait-for.ts'

t.test('run gives a command a proxy of its own, without the key in its environment, and exits with its code', async t => {
  const cwd = makeFolder(t)
  const sandbox = await startSandbox({ devices: 5, quiet: true })
  t.teardown(() => sandbox.close())
  writeFileSync(join(cwd, 'ca.pem'), sandbox.caPem)
  const environment = { IZUMA_ACCESS_KEY: sandbox.accessKey }
  const script = 'const r = await fetch(process.env.API_BASE_URL + "/v3/devices?limit=2", { headers: { Authorization: "Bearer " + process.env.API_TOKEN } }); console.log(r.status, "KEY" in process.env, Object.values(process.env).some(value => value.startsWith("ak_"))); process.exit(7)'
  const result = await runCommand(['run', '--api-host', sandbox.origin, '--ca-file', 'ca.pem', '--', process.execPath, '--input-type=module', '-e', script], { cwd, environment })
  t.match(result, { code: 7, stdout: /200 false false/ }, result.stderr)
})

t.test('run passes a signal on and exits with what the command makes of it; SIGHUP is its own', async t => {
  const cwd = makeFolder(t)
  const script = "trap 'echo got TERM; exit 5' TERM; echo started; while :; do sleep 0.1; done"
  const child = spawnMain(['run', '--', 'sh', '-c', script], { cwd })
  let stdout = ''
  child.stdout?.on('data', (chunk: Buffer) => { stdout += chunk.toString('utf8') })
  const ended = once(child, 'exit')
  t.teardown(() => { child.kill('SIGKILL') })
  await waitFor('the command', () => stdout, text => text.includes('started'), 20_000)
  child.kill('SIGHUP')
  child.kill('SIGTERM')
  t.same(await ended, [5, null])
  t.match(stdout, /got TERM/)
})

t.test('run listens and logs as it is told, and not where the settings of the proxy beside it say', async t => {
  const cwd = makeFolder(t)
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { server.close() })
  const taken = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const print = ['--', process.execPath, '-e', 'console.log(process.env.API_BASE_URL)']
  const beside = await runCommand(['run', '--log-level', 'info', ...print], { cwd, environment: { PROXY_LISTEN: taken, PROXY_HEALTH_LISTEN: taken } })
  t.match(beside, { code: 0, stdout: /^http:\/\/127\.0\.0\.1:\d+\n$/, stderr: /"level":"info"/ })
  t.match(await runCommand(['run', '--listen', taken, ...print], { cwd }), { code: 1, stderr: /is taken/ })
})
