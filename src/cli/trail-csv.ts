import { fieldNames } from '../trail/query/fields.ts'
import type { TrailItem } from '../trail/query/reader.ts'

/** RFC 4180. */
export function renderCsvHeader (): string {
  return fieldNames.join(',') + '\r\n'
}

export function renderCsvLine (item: TrailItem): string {
  return fieldNames.map(name => quote(item[name])).join(',') + '\r\n'
}

/** A client chooses its agent and path: a spreadsheet must not take them for a formula (OWASP: CSV injection). */
function quote (value: string | number | null): string {
  if (value === null) return ''
  if (typeof value === 'number') return String(value)
  const harmless = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}
