/** DER (ITU-T X.690), the few forms that a certificate needs. */

const tags = { boolean: 0x01, integer: 0x02, bitString: 0x03, octetString: 0x04, oid: 0x06, utf8: 0x0c, utcTime: 0x17, generalizedTime: 0x18, sequence: 0x30, set: 0x31 }

export function element (tag: number, ...contents: Buffer[]): Buffer {
  const body = Buffer.concat(contents)
  return Buffer.concat([Buffer.from([tag]), encodeLength(body.length), body])
}

/** X.690 §8.1.3: up to 127 in one octet, else the number of octets and then the length. */
function encodeLength (length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const octets = Buffer.alloc(4)
  octets.writeUInt32BE(length)
  const significant = octets.subarray(octets.findIndex(octet => octet !== 0))
  return Buffer.concat([Buffer.from([0x80 | significant.length]), significant])
}

export const sequence = (...items: Buffer[]): Buffer => element(tags.sequence, ...items)
export const set = (...items: Buffer[]): Buffer => element(tags.set, ...items)
export const boolean = (value: boolean): Buffer => element(tags.boolean, Buffer.from([value ? 0xff : 0]))
export const utf8 = (value: string): Buffer => element(tags.utf8, Buffer.from(value))
export const octets = (value: Buffer): Buffer => element(tags.octetString, value)
export const bits = (value: Buffer, unused = 0): Buffer => element(tags.bitString, Buffer.from([unused]), value)

/** A positive whole number; a leading zero keeps its sign bit clear. */
export function integer (value: Buffer): Buffer {
  return element(tags.integer, (value[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), value]) : value)
}

/** Context-specific and constructed: `[number] EXPLICIT`. */
export const explicit = (number: number, content: Buffer): Buffer => element(0xa0 | number, content)
/** Context-specific and primitive: `[number] IMPLICIT`. */
export const implicit = (number: number, content: Buffer): Buffer => element(0x80 | number, content)

export function oid (dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return element(tags.oid, Buffer.from([first * 40 + second, ...rest.flatMap(encodeArc)]))
}

/** Base 128, most significant first, all but the last octet with the high bit set (X.690 §8.19.2). */
function encodeArc (arc: number): number[] {
  const groups = [arc & 0x7f]
  for (let rest = arc >>> 7; rest > 0; rest >>>= 7) groups.unshift((rest & 0x7f) | 0x80)
  return groups
}

/** RFC 5280 §4.1.2.5: UTCTime, with two digits of the year, until 2049; GeneralizedTime after. */
export function time (date: Date): Buffer {
  const digits = date.toISOString().replace(/\.\d+Z$/, 'Z').replaceAll(/[-:T]/g, '')
  const late = date.getUTCFullYear() >= 2050
  return element(late ? tags.generalizedTime : tags.utcTime, Buffer.from(late ? digits : digits.slice(2)))
}
