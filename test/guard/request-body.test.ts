import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { proxyError } from '../../src/errors.ts'
import { startGuardedApp } from '../support/guarded-app.ts'
import { openPeer } from '../support/sockets.ts'
import { waitFor } from '../support/wait-for.ts'

const host = '127.0.0.1'
/** So few connections to the API that every body has to be here first. */
const crowded = { upstreamConnections: 3 }
const readAll = async (request: { raw: AsyncIterable<Buffer> }) => {
  let length = 0
  for await (const chunk of request.raw) length += chunk.length
  return { length }
}

t.test('where connections to the API are few, a small body is here in full before anybody behind the guard is bothered', async t => {
  const { app, port, reached } = await startGuardedApp({ serve: readAll, settings: crowded })
  t.teardown(() => app.close())
  for (const [head, pieces] of [
    ['Content-Length: 10', ['01234', '5678', '9']],
    ['Transfer-Encoding: chunked', ['5\r\n01234\r\n', '5\r\n56', '789\r\n', '0\r\n', '\r\n']]
  ] as const) {
    reached.length = 0
    const peer = await openPeer({ port, host }, `POST / HTTP/1.1\r\nHost: localhost\r\n${head}\r\n\r\n`)
    for (const piece of pieces) {
      await new Promise(resolve => setTimeout(resolve, 20))
      t.equal(reached.length, 0, 'not yet')
      peer.socket.write(piece)
    }
    t.match(await peer.until(/"length"/), '{"length":10}')
    t.equal(reached.length, 1)
    peer.socket.destroy()
  }
})

t.test('an empty body, and one that came with its headers, wait for nothing', async t => {
  const { app, port } = await startGuardedApp({ serve: readAll, settings: crowded })
  t.teardown(() => app.close())
  const peer = await openPeer({ port, host }, 'POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')
  t.match(await peer.until(/"length"/), '{"length":0}')
  peer.socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello')
  t.match(await peer.until(/"length":5/), '{"length":5}')
  peer.socket.destroy()
})

t.test('a large body is streamed: its first bytes go on before the last ones are here', async t => {
  let seeFirst = () => {}
  const first = new Promise<void>(resolve => { seeFirst = resolve })
  const { app, port } = await startGuardedApp({
    serve: async request => {
      let length = 0
      for await (const chunk of request.raw as AsyncIterable<Buffer>) {
        seeFirst()
        length += chunk.length
      }
      return { length }
    }
  })
  t.teardown(() => app.close())
  const peer = await openPeer({ port, host }, 'PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n' + 'x'.repeat(100_000))
  await first
  peer.socket.write('x'.repeat(100_000))
  t.match(await peer.until(/"length"/), '{"length":200000}')
  peer.socket.destroy()
})

t.test('a refused upload is not waited for', async t => {
  const { app, port } = await startGuardedApp({ judge: () => proxyError('member_forbidden') })
  t.teardown(() => app.close())
  const peer = await openPeer({ port, host }, 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n')
  t.match(await peer.until(/member_forbidden/), /^HTTP\/1\.1 403/)
  peer.socket.destroy()
})

t.test('a client that leaves before its body is here reaches nobody', async t => {
  const { app, port, reached, entries } = await startGuardedApp({ settings: crowded })
  t.teardown(() => app.close())
  const peer = await openPeer({ port, host }, 'POST /left HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhe')
  while (entries.length === 0) {
    peer.socket.destroy()
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  t.match(entries, [{ path: '/left', outcome: 'client_aborted' }])
  t.equal(reached.length, 0)
})

t.test('where they are many, a body goes on as it comes', async t => {
  const { app, port, reached } = await startGuardedApp({ serve: readAll })
  t.teardown(() => app.close())
  const peer = await openPeer({ port, host }, 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n01234')
  t.teardown(() => peer.socket.destroy())
  const deadline = performance.now() + 2000
  while (reached.length === 0 && performance.now() < deadline) await new Promise(resolve => setTimeout(resolve, 5))
  t.equal(reached.length, 1)
})

t.test('an answer before the body is read leaves no connection behind when the client goes', async t => {
  const readOnce = async ({ raw }: { raw: IncomingMessage }) => {
    const chunks = raw.iterator({ destroyOnReturn: false })
    const first = await chunks.next()
    await chunks.return?.()
    return { first: first.done !== true }
  }
  const { app, port } = await startGuardedApp({ serve: readOnce })
  t.teardown(() => app.close())
  const peer = await openPeer({ port, host }, 'PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n' + 'x'.repeat(1_000_000))
  t.match(await peer.until(/first/), /^HTTP\/1\.1 200/)
  peer.socket.write('x'.repeat(3_000_000) + 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await peer.until(/200 OK[^]*200 OK[^]*"first":false/)
  peer.socket.write('PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n' + 'x'.repeat(1_000_000))
  await peer.until(/200 OK[^]*200 OK[^]*200 OK/)
  peer.socket.destroy()
  const count = () => new Promise<number>(resolve => app.server.getConnections((_error, open) => resolve(open)))
  t.equal(await waitFor('connections', count, open => open === 0), 0)
})

t.test('nor does one whose body somebody still reads when the answer ends', async t => {
  const { app, port } = await startGuardedApp({ settings: { clientBodyIdleTimeout: 200 }, serve: async request => { request.raw.iterator({ destroyOnReturn: false }).next(); return { early: true } } })
  t.teardown(() => app.close())
  const peer = await openPeer({ port, host }, 'PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n' + 'x'.repeat(1_000_000))
  await peer.until(/early/)
  peer.socket.destroy()
  const count = () => new Promise<number>(resolve => app.server.getConnections((_error, open) => resolve(open)))
  t.equal(await waitFor('connections', count, open => open === 0), 0)
})
