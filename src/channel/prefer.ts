const maxWaitSeconds = 120

/**
 * Seconds of the `wait` preference (RFC 7240 §4.3) from 1 to 120, or `undefined` without one.
 * Of a repeated preference the first counts (§2); a value that is no number of seconds is ignored, as all preferences may be.
 */
export function readWaitSeconds (header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  for (const preference of header.split(',')) {
    const [name = '', value = ''] = (preference.split(';', 1)[0] ?? '').split('=', 2).map(part => part.trim())
    if (name.toLowerCase() !== 'wait') continue
    const digits = /^(?:"([0-9]{1,6})"|([0-9]{1,6}))$/.exec(value)
    const seconds = Number(digits?.[1] ?? digits?.[2] ?? 0)
    return seconds === 0 ? undefined : Math.min(seconds, maxWaitSeconds)
  }
  return undefined
}
