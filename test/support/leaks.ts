/** Undoes, again and again, the escapes that a curious reader would undo. */
export function unescapeAll (text: string): string {
  const once = text
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replace(/\\+u00([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replaceAll('\\/', '/')
  return once === text ? once : unescapeAll(once)
}

/**
 * The 16-character windows of `secret` that can be read out of `text`: as they are in either case, backwards, in hex, or in
 * base64 of either alphabet at any alignment. Written apart from the product's own search, and the dull way: every
 * run of base64 or hex is decoded and looked at.
 */
export function findWindows (text: string, secret: string): string[] {
  const readings = [text, unescapeAll(text)].flatMap(read).map(reading => reading.toLowerCase())
  const windows = Array.from({ length: Math.max(1, secret.length - 15) }, (_, at) => secret.slice(at, at + 16))
  return windows.filter(window => readings.some(reading => reading.includes(window.toLowerCase())))
}

function read (text: string): string[] {
  const readings = [text, text.split('').reverse().join('')]
  for (const [run] of text.matchAll(/[A-Za-z0-9+/_-]{20,}/g)) {
    for (let skip = 0; skip < 4; skip++) readings.push(Buffer.from(run.slice(skip), 'base64').toString('latin1'))
  }
  for (const [run] of text.matchAll(/[0-9a-f]{32,}/gi)) {
    for (let skip = 0; skip < 2; skip++) readings.push(Buffer.from(run.slice(skip), 'hex').toString('latin1'))
  }
  return readings
}
