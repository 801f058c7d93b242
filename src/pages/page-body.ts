import { Readable, pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { UpstreamAnswer } from '../decorations.ts'
import { proxyError } from '../errors.ts'

/** What may be asked for: lists shrink to a tenth, and the link to the API is the slow part. */
export const acceptedEncoding = 'gzip'

const outputBytes = 64 * 1024

/** The body as text, whatever it is packed in. Leaving it early ends the exchange. */
export function unpack ({ headers, body }: UpstreamAnswer): AsyncIterable<Buffer> {
  const encoding = String(headers['content-encoding'] ?? 'identity').trim().toLowerCase()
  if (encoding === 'identity' || encoding === '') return body
  if (encoding !== 'gzip' && encoding !== 'x-gzip') {
    body.destroy()
    throw proxyError('upstream_invalid_response', { message: 'The API compressed its answer in a way that it was not asked for.' })
  }
  const unpacked = createGunzip({ chunkSize: outputBytes })
  pipeline(Readable.from(body), unpacked, () => {})
  return unpacked
}
