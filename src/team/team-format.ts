const widest = 120

/**
 * Prints a team file as people write one: objects on lines of their own, short lists and tokens on one line.
 * The order of names stays as it was.
 */
export function formatTeam (value: unknown, { indent, newline }: Layout): string {
  return print(value, indent, '', false).replaceAll('\n', newline) + newline
}

export interface Layout { indent: string, newline: string }

/** How a file is laid out, so that an edit changes only what it has to. */
export function findLayout (text: string): Layout {
  return { indent: /^([ \t]+)"/m.exec(text)?.[1] ?? '  ', newline: text.includes('\r\n') ? '\r\n' : '\n' }
}

function print (value: unknown, indent: string, margin: string, inList: boolean): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const list = Array.isArray(value)
  const inline = printInline(value)
  const fits = margin.length + inline.length <= widest
  if (inline.length === 2 || (fits && (list ? value.every(isScalar) : inList && Object.values(value).every(isScalar)))) return inline
  const inner = margin + indent
  const parts = list
    ? value.map(item => print(item, indent, inner, true))
    : Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${print(item, indent, inner, false)}`)
  const [open, close] = list ? '[]' : '{}'
  return `${open}\n${parts.map(part => inner + part).join(',\n')}\n${margin}${close}`
}

function printInline (value: object): string {
  if (Array.isArray(value)) return `[${value.map(item => JSON.stringify(item)).join(', ')}]`
  const parts = Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${JSON.stringify(item)}`)
  return parts.length === 0 ? '{}' : `{ ${parts.join(', ')} }`
}

function isScalar (value: unknown): boolean {
  return typeof value !== 'object' || value === null
}
