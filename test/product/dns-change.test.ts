import { spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { makeAuthority, type Certificate } from '../support/certificates.ts'
import { ask } from '../support/client.ts'
import { makeAccessKey } from '../support/proxy.ts'
import { makeFolder } from '../support/terminal.ts'
import { waitFor } from '../support/wait-for.ts'

// The API's name leads elsewhere while connections to where it led are open and well. /etc/hosts is the proxy's own here.

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const canMount = process.platform === 'linux' && process.getuid?.() === 0 && spawnSync('unshare', ['--mount', 'true']).status === 0
const skip = !canMount && process.env['CI'] !== 'true' && 'a hosts file of its own needs root on Linux (unshare --mount)'

/** Answers with the address it listens on. Once closed, it ends what is still shaking hands too. */
async function startHost (t: Test, address: string, port: number, certificate: Certificate): Promise<Server> {
  const server = createServer(certificate, (_request, response: ServerResponse) => response.end(address))
  server.on('secureConnection', socket => { if (!server.listening) socket.destroy() })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, address, resolve))
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return server
}

async function startProxy (t: Test, folder: string, port: number): Promise<string> {
  const words = ['start', '--listen', '127.0.0.1:0', '--api-host', `https://api.test:${port}`, '--ca-file', 'ca.pem', '--access-key-file', 'key', '--channel', 'off', '--log-pretty', 'false']
  const child = spawn('unshare', ['--mount', 'sh', '-c', 'mount --bind hosts /etc/hosts && exec "$0" "$@"', process.execPath, main, ...words], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill('SIGKILL') })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => { output += chunk.toString('utf8') })
  await waitFor('the proxy', () => output, text => /"msg":"listening"\}\n/.test(text), 60_000)
  return /"url":"([^"]+)","api"/.exec(output)?.[1] ?? ''
}

t.test('a changed address is in use within a minute, with at most one failed request', { skip, timeout: 150_000 }, async t => {
  const folder = makeFolder(t)
  const authority = makeAuthority()
  const certificate = authority.issue({ altNames: ['api.test'] })
  const before = await startHost(t, '127.0.0.2', 0, certificate)
  const { port } = before.address() as AddressInfo
  const after = await startHost(t, '127.0.0.3', port, certificate)
  const pointTo = (address: string) => writeFileSync(join(folder, 'hosts'), `127.0.0.1 localhost\n${address} api.test\n`)
  pointTo('127.0.0.2')
  writeFileSync(join(folder, 'ca.pem'), authority.ca)
  writeFileSync(join(folder, 'key'), makeAccessKey(), { mode: 0o600 })
  const url = await startProxy(t, folder, port)

  const seen: string[] = []
  const look = async () => {
    await new Promise(resolve => setTimeout(resolve, 100))
    seen.push((await ask(url, '/v3/devices')).text)
    return seen.at(-1)
  }
  t.equal(await look(), '127.0.0.2')
  pointTo('127.0.0.3')
  const changedAt = performance.now()
  await waitFor('the new address', look, text => text === '127.0.0.3', 90_000)
  const tookMs = performance.now() - changedAt
  t.ok(tookMs < 60_000, `in use after ${Math.round(tookMs)} ms, though the old host goes on answering`)
  t.equal(seen.filter(text => !text.startsWith('127.0.0.')).length, 0, 'no request failed')

  pointTo('127.0.0.2')
  after.close()
  after.closeAllConnections()
  seen.length = 0
  await waitFor('the address that is left', look, text => text === '127.0.0.2', 10_000)
  t.ok(seen.length <= 2, `${seen.length - 1} requests failed when the old host was gone`)
})
