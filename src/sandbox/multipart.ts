/** Reads `multipart/form-data` (RFC 7578) that is in memory as a whole. Pure. */

export interface Part {
  name: string
  filename: string | undefined
  body: Buffer
}

/** `undefined` when it is malformed: no boundary, no end, a part without a name. */
export function readMultipart (contentType: string, body: Buffer): Part[] | undefined {
  const boundary = /^multipart\/form-data\b.*;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType)
  if (boundary === null) return undefined
  const delimiter = Buffer.from(`\r\n--${boundary[1] ?? boundary[2]}`)
  // The first delimiter needs no line before it; one is put there so that all look alike.
  const whole = Buffer.concat([Buffer.from('\r\n'), body])
  const parts: Part[] = []
  for (let at = whole.indexOf(delimiter); at >= 0;) {
    const start = at + delimiter.length
    if (whole.subarray(start, start + 2).toString() === '--') return parts
    const next = whole.indexOf(delimiter, start)
    const part = next < 0 ? undefined : readPart(whole.subarray(start, next))
    if (part === undefined) return undefined
    parts.push(part)
    at = next
  }
  return undefined
}

/** Line end of the delimiter, headers, empty line, body. */
function readPart (bytes: Buffer): Part | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const disposition = /^content-disposition:\s*form-data\b(.*)$/im.exec(bytes.subarray(0, end).toString())?.[1]
  const name = parameterOf(disposition, 'name')
  return name === undefined ? undefined : { name, filename: parameterOf(disposition, 'filename'), body: bytes.subarray(end + 4) }
}

function parameterOf (disposition: string | undefined, name: string): string | undefined {
  return new RegExp(`;\\s*${name}="([^"]*)"`, 'i').exec(disposition ?? '')?.[1]
}
