import fc from 'fast-check'

/** Ways in which programs write a secret down. */
export const encodings: Record<string, (text: string) => string> = {
  raw: text => text,
  'upper case': text => text.toUpperCase(),
  'lower case': text => text.toLowerCase(),
  percent: text => encodeURIComponent(text),
  'percent, all of it, lower case': text => percentAll(text),
  'percent, all of it, upper case': text => percentAll(text).toUpperCase(),
  'percent twice': text => encodeURIComponent(percentAll(text)),
  base64: text => Buffer.from(text).toString('base64'),
  base64url: text => Buffer.from(text).toString('base64url'),
  'base64, percent': text => encodeURIComponent(Buffer.from(text).toString('base64')),
  hex: text => Buffer.from(text).toString('hex'),
  'hex, upper case': text => Buffer.from(text).toString('hex').toUpperCase(),
  reversed: text => text.split('').reverse().join(''),
  'JSON, slashes escaped': text => JSON.stringify(text).slice(1, -1).replaceAll('/', '\\/'),
  'JSON, all of it escaped': text => [...text].map(character => '\\u' + hex(character).padStart(4, '0')).join(''),
  'JSON in JSON': text => JSON.stringify(JSON.stringify({ text })).slice(1, -1)
}

function percentAll (text: string): string { return [...text].map(character => '%' + hex(character)).join('') }

function hex (character: string): string { return character.charCodeAt(0).toString(16).padStart(2, '0') }

export const anyEncoding = fc.constantFrom(...Object.keys(encodings)).map(name => encodings[name] as (text: string) => string)

/** Each character as it is, percent-encoded or escaped, as chance has it. */
export function mixedEncoding (text: string): fc.Arbitrary<string> {
  return fc.tuple(...[...text].map(character => fc.constantFrom(
    character, character, '%' + hex(character), '%' + hex(character).toUpperCase(), '%25' + hex(character), '\\u00' + hex(character)
  ))).map(characters => characters.join(''))
}

/** Text to stand around a secret: all sorts of characters, and those that could be mistaken for part of it. */
export const surroundings = fc.oneof(
  fc.constantFrom('', ' ', '"', '/', '=', '&key=', '%3D', 'Bearer ', 'pelion_', '{"key":"', '\\"', '%', '%4', '\\', '\\u00', 'ak_', 'İ', '=', '-', '_'),
  fc.string({ maxLength: 12 }),
  fc.string({ maxLength: 12, unit: fc.constantFrom(...'0123456789abcdefABCDEF+/=_-%\\u') })
)
