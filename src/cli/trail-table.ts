import { formatMs } from '../trail/bundle-markdown.ts'
import type { TrailItem } from '../trail/query/reader.ts'

/** How wide a terminal is, and whether it takes colours. */
export interface Paper { columns: number, color: boolean }

const headings = ['TIME', 'MEMBER', 'METHOD', 'PATH', 'STATUS', 'TIME TAKEN', 'ERROR OR OUTCOME', 'ID']
const narrowestPath = 20

/** Records as a table. The path gives way on a narrow terminal; ids stay whole, as they are there to be copied. */
export function renderTable (items: TrailItem[], paper: Paper): string {
  const rows = items.map(describe)
  const widths = headings.map((heading, column) => Math.max(heading.length, ...rows.map(row => (row[column] as string).length)))
  const others = widths.reduce((sum, width, column) => sum + (column === 3 ? 0 : width + 2), 0)
  widths[3] = Math.min(widths[3] as number, Math.max(narrowestPath, paper.columns - others))
  return [renderLine(headings, widths), ...rows.map((row, index) => paint(renderLine(row, widths), items[index] as TrailItem, paper))].join('')
}

/** One record in the columns of a table that has no end. */
export function renderTailLine (item: TrailItem, paper: Paper): string {
  return paint(renderLine(describe(item), [24, 10, 6, Math.max(narrowestPath, paper.columns - 110), 6, 10, 18, 32]), item, paper)
}

function describe (item: TrailItem): string[] {
  return [
    item.started_at,
    item.member === '' ? '-' : item.member,
    item.method,
    item.path + (item.query === '' ? '' : `?${item.query}`),
    item.status === null ? '-' : String(item.status),
    item.duration_ms === null ? '-' : formatMs(item.duration_ms),
    item.error_type ?? item.outcome,
    item.id
  ].map(clean)
}

/** What a client or the API wrote must not steer the terminal. */
export function clean (text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '\ufffd')
}

function renderLine (cells: string[], widths: number[]): string {
  return cells.map((cell, column) => fit(cell, widths[column] as number)).join('  ').trimEnd() + '\n'
}

function fit (text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width)
}

function paint (line: string, { status, outcome }: TrailItem, { color }: Paper): string {
  if (!color) return line
  const failed = outcome === 'failed' || outcome === 'truncated' || outcome === 'unfinished' || (status ?? 0) >= 500
  if (failed) return `\u001b[31m${line.trimEnd()}\u001b[0m\n`
  return (status ?? 0) >= 400 ? `\u001b[33m${line.trimEnd()}\u001b[0m\n` : line
}
