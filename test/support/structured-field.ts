/**
 * A list of tokens with a parameter `text`, parsed strictly as RFC 9651 §4.2 says. Throws on anything else.
 */
export function parseTokens (value: string): Array<[token: string, text: string]> {
  const items: Array<[string, string]> = []
  const item = /([A-Za-z*][\w!#$%&'*+\-.^`|~:/]*);text="((?:[ !#-[\]-~]|\\["\\])*)"/y
  let at = 0
  while (true) {
    item.lastIndex = at
    const match = item.exec(value)
    if (match === null) throw new Error(`no item at ${at}: ${value}`)
    items.push([match[1] as string, (match[2] as string).replace(/\\(["\\])/g, '$1')])
    at = item.lastIndex
    if (at === value.length) return items
    const separator = /[ \t]*,[ \t]*/y
    separator.lastIndex = at
    if (separator.exec(value) === null) throw new Error(`no comma at ${at}: ${value}`)
    at = separator.lastIndex
  }
}
