/**
 * What is known of a header by its name, as bits. One table look-up a header, whatever the case it is written in:
 * names are remembered as they were spelled, up to a bound, so that the usual ones are lower-cased once and not once a request.
 */
export interface HeaderRules {
  /** The rule bits of a header, 0 for one that just passes. */
  of (name: string): number
}

const maxRemembered = 1024
const maxRememberedLength = 64

/** @param rules lower-case names by rule; `judgeOthers` decides about names that aren't listed (prefixes, odd characters). */
export function createHeaderRules (rules: ReadonlyArray<readonly [rule: number, names: string[]]>, judgeOthers: (lowerCaseName: string) => number): HeaderRules {
  const listed = new Map(rules.flatMap(([rule, names]) => names.map(name => [name, rule] as const)))
  const remembered = new Map(listed)
  function learn (name: string): number {
    const lowerCaseName = name.toLowerCase()
    const rule = listed.get(lowerCaseName) ?? judgeOthers(lowerCaseName)
    if (remembered.size < maxRemembered && name.length <= maxRememberedLength) remembered.set(name, rule)
    return rule
  }
  return { of: name => remembered.get(name) ?? learn(name) }
}

const ordinaryOptions = /^(?:keep-alive|close)$/i

/**
 * The header names that a Connection header's value makes hop-by-hop (RFC 9110 §7.6.1), lower case;
 * `undefined` if there are none, which is the usual case.
 */
export function readConnectionOptions (value: string, known: Set<string> | undefined): Set<string> | undefined {
  if (ordinaryOptions.test(value)) return known
  const options = known ?? new Set()
  for (const option of value.split(',')) options.add(option.trim().toLowerCase())
  return options
}

/**
 * Takes out of flat headers what Connection named. Content-Length stays, whatever is named: the length belongs to
 * the body, and a message that lost it would end elsewhere for the next reader (request smuggling).
 */
export function removeNamed (headers: string[], named: Set<string> | undefined): string[] {
  if (named === undefined) return headers
  const kept: string[] = []
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string
    const lowerCaseName = name.toLowerCase()
    if (lowerCaseName === 'content-length' || !named.has(lowerCaseName)) kept.push(name, headers[i + 1] as string)
  }
  return kept
}
