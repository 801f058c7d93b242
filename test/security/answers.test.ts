import t from 'tap'
import { startApi } from '../support/api-server.ts'
import { ask } from '../support/client.ts'
import { makeAccessKey, startProxy } from '../support/proxy.ts'

const page = 'http://localhost:5173'

// Cookies and policies of the API's origin would be the proxy's for a browser, and so those of everything else on localhost; CORS
// headers of the API's would open the proxy to any page; hop-by-hop headers belong to a connection the client doesn't have.
t.test('what upstream may not say to our clients', async t => {
  const dropped = {
    'Set-Cookie': ['session=1', 'other=2'],
    'Access-Control-Allow-Origin': '*',
    'Access-Control-Allow-Credentials': 'true',
    'Strict-Transport-Security': 'max-age=1',
    'Clear-Site-Data': '"*"',
    'Alt-Svc': 'h3=":443"',
    'Proxy-Authenticate': 'Basic',
    'Keep-Alive': 'timeout=600',
    'X-Hop': '1',
    'X-Proxy-Error': 'member_unknown',
    'X-Proxy-Request-ID': 'f'.repeat(32)
  }
  const api = await startApi(t, (_request, response) => {
    response.writeHead(200, { ...dropped, Connection: 'keep-alive, x-hop', 'X-Request-ID': 'a'.repeat(32), 'X-Kept': ['1', '2'], 'Content-Type': 'application/json' })
    response.end('{}')
  })
  const proxy = await startProxy(t, { api, accessKey: makeAccessKey(), flags: { '--allowed-origins': page } })
  const plain = await ask(proxy.url, '/v3/devices')
  for (const name of Object.keys(dropped)) {
    const value = plain.headers[name.toLowerCase()]
    if (name === 'X-Proxy-Request-ID') t.not(value, 'f'.repeat(32), 'our own id, not one that upstream made up')
    else if (name === 'Keep-Alive') t.not(value, 'timeout=600', 'our own limit')
    else t.equal(value, undefined, name)
  }
  t.equal(plain.headers['x-request-id'], 'a'.repeat(32))
  t.same(plain.rawHeaders.filter((_, i) => plain.rawHeaders[i - 1] === 'X-Kept'), ['1', '2'])
  const cors = await ask(proxy.url, '/v3/devices', { headers: { Origin: page } })
  t.equal(cors.headers['access-control-allow-origin'], page)
  t.equal(cors.headers['access-control-allow-credentials'], undefined)
})

// A client that follows a Location to the API's own host leaves the proxy, and is there without a key; one to another host is the
// API's to give and the client's to follow, and is never followed here (CVE-2024-28849).
t.test('references to the API are references to the proxy; others pass, and none is followed', async t => {
  const api = await startApi(t, (request, response) => {
    const where = request.url === '/v3/own' ? `${api.origin}/v3/devices/1?a=b` : 'https://files.example/signed?x=y'
    response.writeHead(request.url === '/v3/created' ? 201 : 302, { Location: where, 'Content-Location': `${api.origin}/v3/devices/2`, Link: `<${api.origin}/v3/devices?after=1>; rel="next"` }).end()
  })
  const proxy = await startProxy(t, { api, accessKey: makeAccessKey() })
  t.match(await ask(proxy.url, '/v3/own', { headers: { Host: `localhost:${proxy.port}` } }), {
    status: 302,
    headers: {
      location: `http://localhost:${proxy.port}/v3/devices/1?a=b`,
      'content-location': `http://localhost:${proxy.port}/v3/devices/2`,
      link: `<http://localhost:${proxy.port}/v3/devices?after=1>; rel="next"`
    }
  })
  t.match(await ask(proxy.url, '/v3/foreign'), { status: 302, headers: { location: 'https://files.example/signed?x=y' } })
  t.equal(api.seen.length, 2)
})
