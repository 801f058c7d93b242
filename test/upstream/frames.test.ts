import fc from 'fast-check'
import t from 'tap'
import { closeFrame, controlFrame, FrameScanner } from '../../src/upstream/frames.ts'

function frame (opcode: number, payload: Buffer, masked: boolean): Buffer {
  const length = payload.length < 126 ? Buffer.from([payload.length]) : payload.length < 65536 ? Buffer.from([126, payload.length >> 8, payload.length & 0xff]) : Buffer.from([127, 0, 0, 0, 0, 0, payload.length >> 16, (payload.length >> 8) & 0xff, payload.length & 0xff])
  length[0] = (length[0] as number) | (masked ? 0x80 : 0)
  const mask = Buffer.from([1, 2, 3, 4])
  const body = masked ? payload.map((byte, index) => byte ^ (mask[index % 4] as number)) : payload
  return Buffer.concat([Buffer.from([0x80 | opcode]), length, masked ? mask : Buffer.alloc(0), body])
}

t.test('knows the borders of frames however the stream is cut', async t => {
  const sizes = fc.array(fc.constantFrom(0, 1, 5, 125, 126, 300, 65535, 65536, 70000), { minLength: 1, maxLength: 4 })
  fc.assert(fc.property(sizes, fc.boolean(), fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 1, maxLength: 8 }), (lengths, masked, cuts) => {
    const bytes = Buffer.concat(lengths.map(length => frame(2, Buffer.alloc(length, 7), masked)))
    const scanner = new FrameScanner()
    let seen = 0
    let offset = 0
    const borders = new Set<number>([0])
    for (const length of lengths) borders.add(seen += frame(2, Buffer.alloc(length), masked).length)
    for (let index = 0; offset < bytes.length; index++) {
      const size = cuts[index % cuts.length] as number
      scanner.push(bytes.subarray(offset, offset + size))
      offset = Math.min(bytes.length, offset + size)
      if (scanner.atBoundary !== borders.has(offset)) return false
    }
    return scanner.frames === lengths.length
  }), { numRuns: 200, seed: 7 })
  t.pass('200 streams')
})

t.test('reads close codes, masked and not, across chunks', async t => {
  const code = (bytes: Buffer) => {
    const scanner = new FrameScanner()
    for (const byte of bytes) scanner.push(Buffer.from([byte]))
    return scanner.closeCode
  }
  t.equal(code(closeFrame(1001, 'going away', false)), 1001)
  t.equal(code(closeFrame(1008, 'gone', true)), 1008)
  t.equal(code(frame(8, Buffer.from([0x03, 0xe8]), true)), 1000)
  t.equal(code(frame(8, Buffer.alloc(0), true)), 1005, 'a close frame without a code')
  t.equal(code(frame(1, Buffer.from('hello'), true)), null)
})

t.test('control frames are what RFC 6455 asks for', async t => {
  t.same(controlFrame('ping', Buffer.alloc(0), false), Buffer.from([0x89, 0x00]))
  t.same(controlFrame('ping', Buffer.alloc(0), true), Buffer.from([0x89, 0x80, 0, 0, 0, 0]))
  t.same(closeFrame(1000, '', false), Buffer.from([0x88, 0x02, 0x03, 0xe8]))
})
