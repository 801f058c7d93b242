import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { Client } from 'undici'
import { certificateMetrics, watchUpstreamCertificate } from '../../src/ops/upstream-certificate.ts'
import { makeAuthority } from '../support/certificates.ts'

t.test('remembers the end of validity of the certificate that the API host showed, and of no other host', async t => {
  const authority = makeAuthority()
  const server = createServer(authority.issue({ validForDays: 10 }), (_request, response) => { response.end('ok') })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => new Promise(resolve => { server.close(resolve) }))
  const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const watch = watchUpstreamCertificate(origin)
  const other = watchUpstreamCertificate('https://127.0.0.1:1')
  t.same(certificateMetrics(watch)[0]?.collect(), [], 'nothing is known before the first connection')

  const client = new Client(origin, { connect: { ca: authority.ca } })
  const { body } = await client.request({ path: '/', method: 'GET' })
  await body.dump()
  await client.close()
  const days = ((watch.expiresAtMs() ?? 0) - Date.now()) / 86_400_000
  t.ok(days > 8 && days < 10.1, `${days} days`)
  t.same(certificateMetrics(watch)[0]?.collect(), [{ value: (watch.expiresAtMs() ?? 0) / 1000 }])
  t.equal(other.expiresAtMs(), undefined)
  watch.stop()
  other.stop()
})
