import fc from 'fast-check'

/** One value as a JSON text, written in one of the many ways JSON allows: white space, escapes, number forms. */
export interface Written { text: string, value: unknown }

const space = fc.constantFrom('', '', '', ' ', '\n', '\r\n', '\t', '  \n ')
const awkward = fc.constantFrom('"', '\\', '[', ']', '{', '}', ',', ':', '\n', '\u0000', 'id', 'data', 'é', '€', '😀', '\\"', '\ud800')
const content = fc.oneof(fc.string(), fc.array(awkward, { maxLength: 6 }).map(parts => parts.join('')))

/** A string; `\u` escapes for some characters. */
export function stringTexts (contents: fc.Arbitrary<string> = content): fc.Arbitrary<Written> {
  return fc.tuple(contents, fc.infiniteStream(fc.boolean())).map(([value, escaped]) => {
    const inner = Array.from({ length: value.length }, (_, index) => writeCharacter(value, index, escaped.next().value === true))
    return { value, text: `"${inner.join('')}"` }
  })
}

function writeCharacter (text: string, index: number, escaped: boolean): string {
  const code = text.charCodeAt(index)
  const isSurrogate = code >= 0xd800 && code < 0xe000
  return escaped || isSurrogate ? '\\u' + code.toString(16).padStart(4, '0') : JSON.stringify(text.charAt(index)).slice(1, -1)
}

const scalarTexts: fc.Arbitrary<Written> = fc.oneof(
  stringTexts(),
  fc.constantFrom('0', '-1', '1e3', '1.50', '-0.0', '12345678901234567890', 'true', 'false', 'null').map(text => ({ text, value: JSON.parse(text) as unknown }))
)

/** Any value. */
export const valueTexts: fc.Arbitrary<Written> = fc.letrec<{ value: Written }>(tie => ({
  value: fc.oneof({ maxDepth: 3 }, scalarTexts, arrayTexts(tie('value')).map(({ written }) => written), objectTexts(fc.array(fc.tuple(stringTexts(), tie('value')), { maxLength: 4 })))
})).value

/** An array, with the texts of its items. */
export function arrayTexts (items: fc.Arbitrary<Written>): fc.Arbitrary<{ written: Written, items: Written[] }> {
  return fc.tuple(fc.array(items, { maxLength: 5 }), space, space, space).map(([items, a, b, c]) => ({
    items,
    written: { text: '[' + a + items.map(item => item.text).join(b + ',' + c) + (items.length > 0 ? b : '') + ']', value: items.map(item => item.value) }
  }))
}

/** Of members that are named alike the last one counts, as for `JSON.parse`. */
export function objectTexts (members: fc.Arbitrary<Array<[Written, Written]>>): fc.Arbitrary<Written> {
  return fc.tuple(members, space, space, space).map(([members, a, b, c]) => {
    const text = '{' + a + members.map(([key, value]) => key.text + b + ':' + c + value.text + a).join(',' + b) + '}'
    return { text, value: JSON.parse(text) as unknown }
  })
}

/** The bytes of a text, cut anywhere. */
export function cut (bytes: Buffer, cuts: number[]): Buffer[] {
  const at = [...new Set(cuts.map(position => position % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...at].map((start, index) => Buffer.from(bytes.subarray(start, at[index] ?? bytes.length)))
}
