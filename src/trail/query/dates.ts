/** Milliseconds since 1970; `to` is the first one after the span. */
export interface Span { from: number, to: number }

const pattern = /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:?\d\d)?)?)?)?$/i
/** The API's "shortened" form: 20161130T162512Z */
const shortened = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/i

/**
 * A point in time as the API takes it (RFC 3339, with or without milliseconds, or shortened: `20161130T162512Z`), or
 * truncated at any place: `2026`, `2026-01`, `2026-01-02`, `2026-01-02T03`, … Truncated, it means the whole year, month,
 * day, … Without a zone it is UTC. `undefined` if it is no date.
 */
export function parseDate (text: string): Span | undefined {
  const match = pattern.exec(text) ?? shortened.exec(text)
  if (match === null) return undefined
  const [, year, month, day, hour, minute, second, fraction, zone] = match
  const given = [year, month, day, hour, minute, second].map(part => part === undefined ? undefined : Number(part))
  const from = toMs(given, fraction)
  if (from === undefined) return undefined
  const offset = offsetMs(zone)
  return { from: from - offset, to: end(given, from) - offset }
}

type Parts = Array<number | undefined>

/** `undefined` where the calendar has no such time: Date rolls 31 February over to March. */
function toMs ([year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0]: Parts, fraction: string | undefined): number | undefined {
  if (hour > 23 || minute > 59 || second > 59) return undefined
  const ms = Date.UTC(year, month - 1, day, hour, minute, second, fraction === undefined ? 0 : Math.floor(Number(`0.${fraction}`) * 1000))
  const date = new Date(ms)
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? ms : undefined
}

function end ([year = 0, month, day, hour, minute, second]: Parts, from: number): number {
  if (month === undefined) return Date.UTC(year + 1, 0)
  if (day === undefined) return Date.UTC(year, month)
  if (hour === undefined) return from + 86_400_000
  if (minute === undefined) return from + 3_600_000
  if (second === undefined) return from + 60_000
  // A full time is a point: the API compares it as one, too.
  return from + 1
}

function offsetMs (zone: string | undefined): number {
  const match = /^([+-])(\d\d):?(\d\d)$/.exec(zone ?? '')
  if (match === null) return 0
  const [, sign, hours, minutes] = match
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000
}
