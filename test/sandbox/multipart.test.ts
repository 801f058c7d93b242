import { test } from 'tap'
import fc from 'fast-check'
import { readMultipart } from '../../src/sandbox/multipart.ts'

function write (parts: Array<{ name: string, filename?: string, body: Buffer }>, boundary: string): Buffer {
  const pieces = parts.flatMap(({ name, filename, body }) => [
    Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"${filename === undefined ? '' : `; filename="${filename}"`}\r\nContent-Type: application/octet-stream\r\n\r\n`), body, Buffer.from('\r\n')
  ])
  return Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)])
}

test('reads back any parts, whatever bytes they hold', async t => {
  const body = fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes))
  const part = fc.record({ name: fc.stringMatching(/^[a-z_]{1,10}$/), body })
  fc.assert(fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), parts => {
    const read = readMultipart('multipart/form-data; boundary=zQ7b', write(parts, 'zQ7b'))
    return read?.length === parts.length && parts.every((expected, index) => read[index]?.name === expected.name && read[index].body.equals(expected.body))
  }))
  t.pass('for 100 random forms')
})

test('reads names, file names and a quoted boundary', async t => {
  const bytes = write([{ name: 'datafile', filename: 'my image.bin', body: Buffer.from('\r\n--no boundary\r\n') }], 'a b')
  t.match(readMultipart('multipart/form-data; charset=utf-8; boundary="a b"', bytes), [{ name: 'datafile', filename: 'my image.bin' }])
  t.equal(readMultipart('multipart/form-data; charset=utf-8; boundary="a b"', bytes)?.[0]?.body.toString(), '\r\n--no boundary\r\n')
})

const good = write([{ name: 'a', body: Buffer.from('1') }], 'x')
const malformed: Array<[why: string, type: string, body: Buffer]> = [
  ['another content type', 'application/json', good],
  ['no boundary', 'multipart/form-data', good],
  ['another boundary', 'multipart/form-data; boundary=y', good],
  ['no end', 'multipart/form-data; boundary=x', good.subarray(0, -6)],
  ['a part without a name', 'multipart/form-data; boundary=x', Buffer.from(good.toString().replace('name=', 'game='))],
  ['a part without headers', 'multipart/form-data; boundary=x', Buffer.from('--x\r\nabc\r\n--x--\r\n')],
  ['nothing', 'multipart/form-data; boundary=x', Buffer.alloc(0)]
]
for (const [why, type, body] of malformed) {
  test(`refuses a form with ${why}`, async t => {
    t.equal(readMultipart(type, body), undefined)
  })
}
