import { createHash } from 'node:crypto'
import t from 'tap'
import { documented } from '../../src/ops/route-templates.ts'
import { ask } from '../support/client.ts'
import { startProduct } from '../support/product.ts'

// The promise "byte for byte" over the whole of the API's public description: 217 paths, 353 operations.

const operations = documented.trim().split('\n').flatMap(line => {
  const [methods = '', template = ''] = line.split(' ')
  return methods.split(',').map(method => ({ method, template }))
})

/** Characters that URL code likes to "correct": kept exactly as they are, in path and query. */
const oddSegment = "0161%20aB~'(x)!$&*+,=:@%c3%a9"
const oddQuery = "limit=2&after=&filter=state%3Dregistered%26created_at__gte%3D2020-01-01T00%253A00&x='()*!~;/?:@&&empty=&[]={}|^`"
const ownHeaders = new Set(['host', 'authorization', 'connection', 'content-length', 'transfer-encoding'])

/** What a client sends and what upstream gets must agree in all but the headers of the connection and the key. */
function comparable (rawHeaders: readonly string[]): string[] {
  return rawHeaders.flatMap((name, index) => index % 2 === 0 && !ownHeaders.has(name.toLowerCase()) ? [`${name}: ${rawHeaders[index + 1]}`] : [])
}

t.test('the table is the whole of the description', async t => {
  t.equal(operations.length, 353)
  t.equal(new Set(operations.map(({ template }) => template)).size, 217)
})

t.test('every operation reaches the API exactly as it left the client', async t => {
  const product = await startProduct(t, { sandbox: { echoUnknown: true, quiet: true }, flags: { '--channel': 'off', '--log-level': 'warn' } })
  const failures: unknown[] = []
  const waiting = [...operations]
  const check = async ({ method, template }: typeof operations[number]) => {
    const path = template.replace(/\{[^}]+\}/g, oddSegment) + '?' + oddQuery
    const withBody = method === 'POST' || method === 'PUT'
    const body = withBody ? Buffer.from(`{"sent by":"${method} ${template}","\\u0000":1.0}`) : undefined
    const headers = ['Host', `127.0.0.1:${product.port}`, 'User-Agent', 'operations test', 'x-MiXeD-Case', 'kept', 'Accept', '*/*', 'X-Twice', '1', 'X-Twice', '2', 'X-Operation', `${method} ${template}`,
      ...(body ? ['Content-Type', 'application/json;charset=UTF-8', 'Content-MD5', createHash('md5').update(body).digest('base64'), 'Content-Length', String(body.length)] : [])]
    await ask(product.url, path, { method, headers: headers as never, ...(body ? { body } : {}) })
    const received = product.sandbox.received.filter(({ rawHeaders }) => rawHeaders.includes(`${method} ${template}`))
    const wanted = [{
      method,
      url: path.replace(/^\/\//, '/'),
      headers: comparable(headers),
      digest: createHash('sha256').update(body ?? '').digest('hex'),
      authorization: [`Bearer ${product.sandbox.accessKey}`]
    }]
    const found = received.map(got => ({
      method: got.method,
      url: got.url,
      headers: comparable(got.rawHeaders),
      digest: got.bodySha256,
      authorization: got.rawHeaders.filter((_, index) => got.rawHeaders[index - 1]?.toLowerCase() === 'authorization')
    }))
    if (JSON.stringify(found) !== JSON.stringify(wanted)) failures.push({ wanted, found })
  }
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (let operation = waiting.pop(); operation !== undefined; operation = waiting.pop()) await check(operation)
  }))
  t.same(failures.slice(0, 3), [], `${failures.length} operations differ`)
})
