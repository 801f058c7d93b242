/** Tests of single values, by the API's documented forms. Pure, and quick: they run for every filter that passes. */

const dateTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/i
const shortened = /^\d{8}T\d{6,}Z$/i
const date = /^\d{4}-\d\d-\d\d$/
/** Metrics take a year or a day too. */
const truncated = /^\d{4}(?:\d{4})?$/

/** RFC 3339 with or without fraction, or shortened: without punctuation. */
export function isDateTime (value: string): boolean {
  if (dateTime.test(value)) return isDay(value, 5, 8) && isTime(value, 11, 14, 17)
  return shortened.test(value) && isDay(value, 4, 6) && isTime(value, 9, 11, 13)
}

export function isDate (value: string): boolean {
  return date.test(value) ? isDay(value, 5, 8) : isDateTime(value)
}

export function isTruncatedDate (value: string): boolean {
  return truncated.test(value) || isDate(value)
}

const daysOfMonth = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** There is no 30 February. That 29 February is there every fourth year is left to the API. */
function isDay (value: string, month: number, day: number): boolean {
  const days = daysOfMonth[twoDigits(value, month) - 1]
  const number = twoDigits(value, day)
  return days !== undefined && number >= 1 && number <= days
}

/** RFC 3339 §5.7: a minute may have a leap second. */
function isTime (value: string, hours: number, minutes: number, seconds: number): boolean {
  return twoDigits(value, hours) < 24 && twoDigits(value, minutes) < 60 && twoDigits(value, seconds) <= 60
}

const zero = 48

function twoDigits (value: string, at: number): number {
  return (value.charCodeAt(at) - zero) * 10 + value.charCodeAt(at + 1) - zero
}

const deviceId = /^[0-9a-f]{32}$/i

export function isDeviceId (value: string): boolean {
  return value.length === 32 && deviceId.test(value)
}

const longestNumber = 9

/** A whole number in decimal digits. */
export function isWithin (value: string, least: number, most: number): boolean {
  if (value.length === 0 || value.length > longestNumber) return false
  let number = 0
  for (let index = 0; index < value.length; index++) {
    const digit = value.charCodeAt(index) - zero
    if (digit < 0 || digit > 9) return false
    number = number * 10 + digit
  }
  return number >= least && number <= most
}
