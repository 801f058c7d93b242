type Headers = Record<string, string | string[] | undefined>

/** Types whose bodies are text, in which a key could stand as it is. No type at all may be anything, text too. */
const textual = /^\s*(?:text\/|multipart\/|message\/|application\/(?:json|xml|javascript|x-www-form-urlencoded|x-ndjson|ndjson|yaml)\b|[a-z]+\/[a-z0-9.!#$&^_-]+\+(?:json|xml|yaml)\b)/i

/** Whether an answer's body can be looked into: text, and not compressed. Names of headers in lower case. */
export function isSearchable (headers: Headers): boolean {
  const type = headers['content-type']
  const encoding = headers['content-encoding']
  return (type === undefined || textual.test(String(type))) && (encoding === undefined || String(encoding).trim().toLowerCase() === 'identity')
}

/** Whether URLs in an answer's body can be rewritten: JSON that can be looked into, and whole (a range says which bytes it has). */
export function isWholeJson (headers: Headers): boolean {
  return headers['content-range'] === undefined && /^\s*application\/(?:[a-z0-9.!#$&^_-]+\+)?json\b/i.test(String(headers['content-type'])) && isSearchable(headers)
}
