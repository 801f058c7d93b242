import { decodeLine, intentFields, type Line } from '../lines.ts'
import { columnIndex } from './schema.ts'
import type { Batch, Value } from './store.ts'

const openOutcome: Value[] = ['open', null, null, null, null, null, null, 0, 0, 0, null, null, null, null, null]
const startedAt = intentFields.indexOf('started_at')

/**
 * Turns lines of the journal into what a store writes. An intent and its outcome in the same stretch, as most are, make
 * one row and one write. `held` are rows that wait for theirs: they come first. Damaged lines are counted and left out.
 */
export function buildBatch (journalId: string, lines: Iterable<string>, held: Iterable<Value[]> = []): Omit<Batch, 'position' | 'nowMs'> & { damaged: number } {
  const rows = new Map<string, Value[]>()
  for (const row of held) rows.set(row[columnIndex.id] as string, row)
  const outcomes = new Map<string, Value[]>()
  const amendments: Value[][] = []
  let damaged = 0
  for (const text of lines) {
    const line = decodeLine(mend(text))
    if (line === undefined) damaged++
    else if (line.kind === 'intent') addRow(rows, line.id, buildRow(journalId, line.intent, openOutcome))
    else if (line.kind === 'full') addRow(rows, line.id, buildRow(journalId, line.intent, line.outcome))
    else if (line.kind === 'outcome') addOutcome(rows, outcomes, line)
    else if (line.kind === 'amendment') addAmendment(rows, amendments, line)
  }
  return { journalId, rows: [...rows.values()], outcomes: [...outcomes.values()], amendments, damaged }
}

/** PostgreSQL takes neither NUL nor half a surrogate pair, and one such text would hold up all others. JSON has them escaped. */
function mend (text: string): string {
  if (!text.includes('\\u0000') && !text.includes('\\ud')) return text
  return text.replaceAll(/\\\\|\\u(?:0000|d[89a-f][0-9a-f]{2})/g, escape => escape === '\\\\' ? escape : '\ufffd')
}

/** An intent that comes again (a replay) must not hide the outcome that is known. */
function addRow (rows: Map<string, Value[]>, id: string, row: Value[]): void {
  if (row[columnIndex.outcome] === 'open' && rows.has(id)) return
  rows.set(id, row)
}

function buildRow (journalId: string, intent: Value[], outcome: Value[]): Value[] {
  const row: Value[] = [intent[0] as string, journalId]
  for (let index = 1; index < intent.length; index++) row.push(intent[index] as Value)
  for (const value of outcome) row.push(value)
  row[columnIndex.started_at] = Date.parse(intent[startedAt] as string) || 0
  return row
}

function addOutcome (rows: Map<string, Value[]>, outcomes: Map<string, Value[]>, { id, outcome, notes }: Line & { kind: 'outcome' }): void {
  const row = rows.get(id)
  if (row === undefined) {
    outcomes.set(id, [...outcome, notes, id])
    return
  }
  outcome.forEach((value, index) => { row[columnIndex.outcome + index] = value ?? row[columnIndex.outcome + index] as Value })
  row[columnIndex.notes] = notes
}

function addAmendment (rows: Map<string, Value[]>, amendments: Value[][], { id, facts }: Line & { kind: 'amendment' }): void {
  const row = rows.get(id)
  if (row === undefined) {
    amendments.push([...facts, id])
    return
  }
  facts.forEach((fact, index) => { row[columnIndex.async_id + index] = fact ?? row[columnIndex.async_id + index] as Value })
}
