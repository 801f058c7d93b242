import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { build } from 'vite'
import { WebSocket } from 'ws'
import { startSandbox, type Sandbox } from '../../src/sandbox/index.ts'
import { ask } from '../support/client.ts'
import { runCommand, startProcess } from '../support/process.ts'

// What is installed is not the sources but a build that leaves parts of packages out (`.config/unused-parts.ts`): whatever could
// need one of them is used here.

const root = join(import.meta.dirname, '../..')

async function buildProgram (t: Test): Promise<{ program: string, cwd: string }> {
  const cwd = t.testdir({ 'package.json': readFileSync(join(root, 'package.json'), 'utf8') })
  await build({ configFile: join(root, '.config/vite.program.config.ts'), logLevel: 'error', build: { outDir: join(cwd, 'dist') } })
  return { program: join(cwd, 'dist/main.js'), cwd }
}

/** A forward proxy that knows CONNECT; counts its tunnels. */
async function startForwardProxy (t: Test): Promise<{ url: string, tunnels: number }> {
  const server = createServer()
  const forward = { url: '', tunnels: 0 }
  server.on('connect', ({ url = '' }, socket) => {
    forward.tunnels++
    const [host = '', port = ''] = url.split(':')
    const upstream = connect(Number(port), host, () => { socket.write('HTTP/1.1 200 OK\r\n\r\n') })
    upstream.pipe(socket).pipe(upstream)
    for (const end of [upstream, socket]) end.on('error', () => { upstream.destroy(); socket.destroy() })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { server.close() })
  forward.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return forward
}

function settingsFor (sandbox: Sandbox, cwd: string): string[] {
  writeFileSync(join(cwd, 'ca.pem'), sandbox.caPem)
  // The key from a command: a process has to be begun.
  writeFileSync(join(cwd, 'key'), sandbox.accessKey, { mode: 0o600 })
  return ['--listen', '127.0.0.1:0', '--api-host', sandbox.origin, '--ca-file', 'ca.pem', '--access-key-command', 'cat key']
}

test('the built program does what the sources do', { timeout: 120_000 }, async t => {
  const { program, cwd } = await buildProgram(t)
  const options = { cwd, program, environment: { XDG_CACHE_HOME: join(cwd, 'caches') } }
  const sandbox = await startSandbox({ quiet: true, devices: 40 })
  t.teardown(() => sandbox.close())
  const settings = settingsFor(sandbox, cwd)

  await t.test('methods, bodies and whole lists', async t => {
    const { url, stop } = await startProcess(t, [...settings, '--health-listen', '127.0.0.1:0'], options)
    t.equal((await ask(url, '/v3/devices?limit=2')).status, 200)
    t.equal((await ask(url, '/v3/devices', { method: 'HEAD' })).status, 200)
    for (const [name, framing] of [['sized', {}], ['chunked', { 'Transfer-Encoding': 'chunked' }]] as const) {
      const { status, text } = await ask(url, '/v3/device-groups', { method: 'POST', headers: { 'Content-Type': 'application/json', ...framing }, body: JSON.stringify({ name }) })
      t.equal(status, 201)
      t.match(text, name)
    }
    const list = await ask(url, '/_proxy/pages/v3/devices', { headers: { Accept: 'application/json' } })
    t.equal((JSON.parse(list.text) as { data: unknown[] }).data.length, 40)
    t.match((await ask(url, '/_proxy/metrics')).text, /^izuma_proxy_/m)
    t.equal((await ask(url, '/v3/nothing-here')).status, 404)
    t.equal(await stop(), 0)
  })

  await t.test('a WebSocket of the shared channel', async t => {
    const { url } = await startProcess(t, settings, options)
    t.equal((await ask(url, '/v2/notification/websocket', { method: 'PUT' })).status, 201)
    const socket = new WebSocket(url.replace('http', 'ws') + '/v2/notification/websocket-connect')
    await new Promise((resolve, reject) => { socket.once('open', resolve).once('error', reject) })
    socket.close()
  })

  await t.test('through a forward proxy', async t => {
    const forward = await startForwardProxy(t)
    const { url } = await startProcess(t, [...settings, '--https-proxy', forward.url], options)
    t.equal((await ask(url, '/v3/devices?limit=2')).status, 200)
    t.ok(forward.tunnels > 0, 'it was asked for a tunnel')
  })

  await t.test('with tracing', async t => {
    const { url } = await startProcess(t, [...settings, '--otlp-endpoint', 'http://127.0.0.1:9'], options)
    t.equal((await ask(url, '/v3/devices?limit=2')).status, 200)
  })

  await t.test('a team, small and large', async t => {
    const add = ['team', 'add', 'ada', '--team-file', 'team.json', '--json']
    const { token } = JSON.parse((await runCommand(add, options)).stdout) as { token: string }
    const path = join(cwd, 'team.json')
    const team = JSON.parse(readFileSync(path, 'utf8')) as { members: Record<string, unknown> }
    const { url } = await startProcess(t, [...settings, '--team-file', 'team.json'], options)
    t.equal((await ask(url, '/v3/devices?limit=2', { headers: { authorization: `Bearer ${token}` } })).status, 200)
    for (let n = 0; n < 1000; n++) team.members[`member${n}`] = { allow: ['GET /v3/devices/**'] }
    Object.assign(team.members, { last: { allow: 'GET /v3' } })
    writeFileSync(path, JSON.stringify(team))
    const { code, stderr } = await runCommand(['team', 'list', '--team-file', 'team.json'], options)
    t.equal(code, 2)
    t.match(stderr, /members\.last\.allow: expected a list/)
  })

  await t.test('compiles once', async t => {
    // The tests have a cache of their own, which would be used instead.
    const traced = { cwd, program, environment: { XDG_CACHE_HOME: join(cwd, 'other-caches'), NODE_COMPILE_CACHE: undefined, NODE_DEBUG_NATIVE: 'COMPILE_CACHE' } }
    const first = await startProcess(t, settings, traced)
    t.equal((await ask(first.url, '/v3/devices?limit=2')).status, 200)
    t.equal(await first.stop(), 0)
    t.notMatch(first.output(), /was accepted/)
    const second = await startProcess(t, settings, traced)
    t.equal((await ask(second.url, '/v3/devices?limit=2')).status, 200)
    t.ok((second.output().match(/V8 code cache for ESM .* was accepted/g) ?? []).length > 10, 'the next one found what the first had compiled')
    t.notMatch(second.output(), /was rejected/)
  })

  await t.test('the trail from the command line', async t => {
    const { code, stdout } = await runCommand(['trail', '--json'], options)
    t.equal(code, 0)
    t.match(stdout, /\/v3\/devices/)
  })
})
