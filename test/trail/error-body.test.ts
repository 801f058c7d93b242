import { test } from 'tap'
import fc from 'fast-check'
import { createErrorReader, readErrorBody } from '../../src/trail/error-body.ts'

const id = '0161991d63150000000000010010abcd'

const cases: Array<[title: string, body: string, type: string | null, message: string | null, requestId: string | null]> = [
  ['the API\'s error object', `{"object":"error","code":404,"type":"not_found","message":"Not found.","request_id":"${id}"}`, 'not_found', 'Not found.', id],
  ['fields as a list', `{"type":"validation_error","message":"Failed.","fields":[{"name":"month","message":"Parameter missing."}],"request_id":"${id}"}`, 'validation_error', 'Failed. (month: Parameter missing.)', id],
  ['fields that say {field, message}', '{"type":"validation_error","message":"Failed.","fields":[{"field":"month","message":"bad"}]}', 'validation_error', 'Failed. (month: bad)', null],
  ['fields as an object', '{"type":"validation_error","message":"Failed.","fields":{"certificate":"Cannot be parsed"}}', 'validation_error', 'Failed. (certificate: Cannot be parsed)', null],
  ['a bare code of the v2 services', 'QUEUE_IS_FULL', 'QUEUE_IS_FULL', 'QUEUE_IS_FULL', null],
  ['a bare code in JSON\'s quotes', '"DEVICE_NOT_CONNECTED"\n', 'DEVICE_NOT_CONNECTED', 'DEVICE_NOT_CONNECTED', null],
  ['a sentence', 'upstream connect error', null, 'upstream connect error', null],
  ['a gateway\'s page', '<html><head><title>502 Bad Gateway</title></head></html>', null, '502 Bad Gateway', null],
  ['OAuth\'s names', '{"error":"invalid_request","error_description":"no"}', 'invalid_request', 'no', null],
  ['values that aren\'t text', '{"type":7,"message":{},"request_id":[]}', null, null, null],
  ['broken JSON', '{"type":"internal_error","message":"Un\\"expected","x":', 'internal_error', 'Un"expected', null],
  ['an empty body', '  ', null, null, null],
  ['compressed bytes', '\u001f\ufffd\u0008\u0000', null, null, null]
]

for (const [title, body, type, message, requestId] of cases) {
  test(`reads ${title}`, t => {
    t.strictSame(readErrorBody(body, false), { type, message, requestId })
    t.end()
  })
}

test('reads a body however it is cut into chunks', t => {
  const body = Buffer.from(`{"object":"error","type":"not_found","message":"Nicht gefunden: ü€😀","request_id":"${id}"}`)
  fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: body.length }), { maxLength: 8 }), cuts => {
    const reader = createErrorReader(404, 'application/json')
    let from = 0
    for (const cut of [...cuts.sort((a, b) => a - b), body.length]) {
      reader?.push(body.subarray(from, cut))
      from = cut
    }
    return reader?.end().message === 'Nicht gefunden: ü€😀'
  }))
  t.end()
})

test('looks at no more than 64 KiB, and still finds what stands at the beginning', t => {
  const reader = createErrorReader(500, 'application/json')
  reader?.push(Buffer.from(`{"type":"internal_error","message":"Unexpected","request_id":"${id}","trace":"`))
  for (let i = 0; i < 20; i++) reader?.push(Buffer.alloc(16 * 1024, 'x'))
  t.strictSame(reader?.end(), { type: 'internal_error', message: 'Unexpected', requestId: id })
  t.end()
})

test('leaves pictures, archives and successes alone', t => {
  t.equal(createErrorReader(404, 'image/png'), undefined)
  t.equal(createErrorReader(500, 'application/zip'), undefined)
  t.equal(createErrorReader(200, 'application/json'), undefined)
  t.ok(createErrorReader(400, undefined))
  t.end()
})

test('never throws, whatever the body', t => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), fc.boolean(), (text, cut) => {
    const { type, message, requestId } = readErrorBody(text, cut)
    return [type, message, requestId].every(value => value === null || typeof value === 'string')
  }), { numRuns: 2000 })
  fc.assert(fc.property(fc.json(), fc.boolean(), (text, cut) => { readErrorBody(text, cut) }), { numRuns: 2000 })
  t.end()
})
