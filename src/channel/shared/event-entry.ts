import type { AnswerNote, GapReason, NewEvent } from '../event-log.ts'
import type { HeldEvent } from './held-events.ts'
import type { Entry } from './stream-reader.ts'

/** An event as it stands in the stream: a head of JSON, and the text as it is. */
export function writeEntry ({ mark, event: { to, gap, answers, text }, at }: HeldEvent): [mark: string, head: string, text: string] {
  return [mark, JSON.stringify({ to, gap, at, ...(answers && { answers }) }), text]
}

export interface ReadEvent { mark: string, event: NewEvent, at: number }

export function readEntry ({ mark = '', head = '{}', text = '' }: Entry): ReadEvent {
  const { to = null, gap = null, at = 0, answers } = JSON.parse(head) as { to?: string | null, gap?: GapReason | null, at?: number, answers?: AnswerNote[] }
  return { mark, at, event: { to, gap, text, ...(answers && { answers }) } }
}

/** The `uid`s of the items of a message. In base64 payloads and device paths there is no such text. */
export function readUids (text: string): string[] {
  return text.includes('"uid"') ? Array.from(text.matchAll(/"uid"\s*:\s*"([^"\\]+)"/g), match => match[1] as string) : []
}
