import { isArray, isObject, sliceArray, sliceObject, type MemberSlice, type Slice } from './json-slices.ts'

/**
 * Messages of the notification channel (`NotificationMessage` in the API's reference), cut and joined as text.
 * All functions take texts that `readMessage` accepted.
 */
export const answersKey = 'async-responses'

/** Their items are device ids, or objects with `deregistrations_as_object`. */
const removalKeys = new Set(['de-registrations', 'registrations-expired'])

/** One asynchronous answer, as text and with what routing needs of it. */
export interface Answer {
  id: string
  status: number | null
  text: string
}

export interface MessageParts {
  /** The message without its asynchronous answers, byte for byte if it had none; `null` if nothing else was in it. */
  broadcast: string | null
  answers: Answer[]
}

export type Message = Record<string, unknown>

/** The message as an object, or `undefined` if the text is not one. */
export function readMessage (text: string): Message | undefined {
  try {
    const message: unknown = JSON.parse(text)
    return typeof message === 'object' && message !== null && !Array.isArray(message) ? message as Message : undefined
  } catch {
    return undefined
  }
}

/** Separates what everyone hears from what only whoever asked may hear. */
export function splitMessage (text: string): MessageParts {
  const members = sliceObject(text)
  const rest = members.filter(({ key }) => key !== answersKey)
  if (rest.length === members.length) return { broadcast: text, answers: [] }
  const answers = members.filter(({ key }) => key === answersKey).flatMap(member => readAnswers(text, member))
  return { broadcast: rest.length === 0 ? null : joinMembers(rest.map(member => memberText(text, member))), answers }
}

function readAnswers (text: string, member: MemberSlice): Answer[] {
  if (!isArray(text, member)) return []
  return sliceArray(text, member.start).flatMap(item => {
    const answerText = text.slice(item.start, item.end)
    const { id, status } = isObject(text, item) ? JSON.parse(answerText) as { id?: unknown, status?: unknown } : {}
    return typeof id === 'string' ? [{ id, status: typeof status === 'number' ? status : null, text: answerText }] : []
  })
}

/** The answer under another id; everything else in it keeps its bytes. */
export function replaceAnswerId (answerText: string, id: string): string {
  let result = answerText
  for (const member of sliceObject(answerText).reverse()) {
    if (member.key === 'id') result = result.slice(0, member.start) + JSON.stringify(id) + result.slice(member.end)
  }
  return result
}

export function makeAnswersMessage (answerTexts: readonly string[]): string {
  return `{"${answersKey}":[${answerTexts.join(',')}]}`
}

/** The one answer of a message of `makeAnswersMessage`. */
export function readSingleAnswer (message: string): string {
  return message.slice(`{"${answersKey}":[`.length, -2)
}

/**
 * What is left of a message for someone who may not see every device, or `null` if nothing is.
 * What can't be told to belong to a device (an unknown key, an item without `ep`) is judged as device `''`,
 * so that a member confined to some devices doesn't see it.
 */
export function filterMessage (text: string, maySee: (deviceId: string) => boolean): string | null {
  return rewriteItems(text, (key, itemText) => maySee(deviceOf(key, itemText)) ? itemText : null, () => maySee(''))
}

/** Drops the items whose `uid` was seen before (the API delivers at least once), or returns the text as it is. */
export function dropRepeated (text: string, isRepeated: (uid: string) => boolean): string | null {
  if (!text.includes('"uid"')) return text
  return rewriteItems(text, (_key, itemText) => {
    const uid = itemText.startsWith('{') ? (JSON.parse(itemText) as { uid?: unknown }).uid : undefined
    return typeof uid === 'string' && isRepeated(uid) ? null : itemText
  }, () => true)
}

/**
 * Writes removals in the form a virtual channel was registered with: device ids, or objects with `ep`
 * (`deregistrations_as_object`). The upstream channel has one form for everybody.
 */
export function convertRemovals (text: string, asObjects: boolean): string {
  if (!text.includes('"de-registrations"') && !text.includes('"registrations-expired"')) return text
  const convert = asObjects ? removalToObject : removalToString
  return rewriteItems(text, (key, itemText) => removalKeys.has(key) ? convert(itemText) : itemText, () => true) ?? text
}

function removalToObject (itemText: string): string {
  return itemText.startsWith('"') ? `{"ep":${itemText}}` : itemText
}

function removalToString (itemText: string): string {
  const device = itemText.startsWith('{') ? (JSON.parse(itemText) as { ep?: unknown }).ep : undefined
  return typeof device === 'string' ? JSON.stringify(device) : itemText
}

/**
 * As many messages of the front of the list as fit into one, items in order under each key.
 * A message with anything but arrays in it can't be joined to another and stays alone.
 */
export function mergeMessages (texts: readonly string[]): { text: string, count: number } {
  const first = texts[0] ?? '{}'
  const merged = new Map<string, string[]>()
  let count = 0
  for (const text of texts) {
    if (!collectItems(text, merged)) break
    count++
  }
  if (count < 2) return { text: first, count: Math.min(1, texts.length) }
  return { text: joinMembers([...merged].map(([key, items]) => `${JSON.stringify(key)}:[${items.join(',')}]`)), count }
}

function collectItems (text: string, into: Map<string, string[]>): boolean {
  const members = sliceObject(text)
  if (!members.every(member => isArray(text, member))) return false
  for (const member of members) {
    const items = into.get(member.key) ?? []
    items.push(...sliceArray(text, member.start).map(item => text.slice(item.start, item.end)))
    into.set(member.key, items)
  }
  return true
}

/**
 * Rewrites or drops (`null`) the items of every array, and keeps or drops the members that are no array.
 * A text with nothing to change is returned as it is; `null` means that everything was dropped.
 */
function rewriteItems (text: string, rewrite: (key: string, itemText: string) => string | null, keepOther: (key: string) => boolean): string | null {
  const members = sliceObject(text)
  let changed = false
  const kept: string[] = []
  for (const member of members) {
    const result = isArray(text, member) ? rewriteArray(text, member, rewrite) : keepOther(member.key) ? memberText(text, member) : null
    if (result !== memberText(text, member)) changed = true
    if (result !== null) kept.push(result)
  }
  if (!changed) return text
  return kept.length === 0 ? null : joinMembers(kept)
}

function rewriteArray (text: string, member: MemberSlice, rewrite: (key: string, itemText: string) => string | null): string | null {
  const items = sliceArray(text, member.start)
  const results = items.map(item => rewrite(member.key, text.slice(item.start, item.end)))
  if (results.every((result, index) => result !== null && result === sliceText(text, items[index] as Slice))) return memberText(text, member)
  const kept = results.filter(result => result !== null)
  return kept.length === 0 ? null : `${text.slice(member.keyStart, member.start)}[${kept.join(',')}]`
}

function deviceOf (key: string, itemText: string): string {
  if (itemText.startsWith('"')) return removalKeys.has(key) ? JSON.parse(itemText) as string : ''
  const device = itemText.startsWith('{') ? (JSON.parse(itemText) as { ep?: unknown }).ep : undefined
  return typeof device === 'string' ? device : ''
}

function sliceText (text: string, { start, end }: Slice): string { return text.slice(start, end) }

function memberText (text: string, member: MemberSlice): string { return text.slice(member.keyStart, member.end) }

function joinMembers (texts: readonly string[]): string { return `{${texts.join(',')}}` }
