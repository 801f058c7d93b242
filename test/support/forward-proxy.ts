import { createServer } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

/** A forward proxy on loopback: CONNECT to any port of this machine, whatever the name. */
export async function startForwardProxy (t: Test): Promise<{ url: string, tunnels: number }> {
  const forward = { url: '', tunnels: 0 }
  const server = createServer().on('connect', ({ url = '' }, client: Socket) => {
    forward.tunnels++
    const upstream = connect(Number(url.split(':')[1]), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      client.pipe(upstream).pipe(client)
    })
    for (const socket of [client, upstream]) socket.on('error', () => {}).on('close', () => { client.destroy(); upstream.destroy() })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { server.close() })
  forward.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return forward
}
