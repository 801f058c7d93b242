import type { UpstreamAnswer } from '../decorations.ts'
import { unpack } from './page-body.ts'

/** Reads type, message and request id out of an error body. */
export interface ErrorReader {
  push (chunk: Buffer): void
  end (): { type: string | null, message: string | null, requestId: string | null }
}

/** The API's answer in place of a page. */
export interface Refusal {
  status: number
  headers: UpstreamAnswer['headers']
  body: Buffer
  requestId: string | null
  type: string | null
  message: string | null
}

/** Error bodies are small; of anything else the beginning will do. */
const maxBodyBytes = 1024 * 1024

export async function readRefusal (answer: UpstreamAnswer, reader: ErrorReader | undefined): Promise<Refusal> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of unpack(answer)) {
    reader?.push(chunk)
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= maxBodyBytes) break
  }
  const facts = reader?.end() ?? { type: null, message: null, requestId: null }
  const headers: UpstreamAnswer['headers'] = { ...answer.headers, 'content-length': undefined, 'content-encoding': undefined }
  const requestId = headers['x-request-id'] === undefined ? facts.requestId : String(headers['x-request-id'])
  return { status: answer.status, headers, body: Buffer.concat(chunks).subarray(0, maxBodyBytes), ...facts, requestId }
}

/** The refusal as the API's error object, whatever it was: services of /v2 answer with a bare word, gateways with a page of HTML. */
export function describeRefusal ({ status, body, type, message, requestId }: Refusal, ownRequestId: string): object {
  return {
    object: 'error',
    code: status,
    type: type ?? 'upstream_error',
    message: message ?? `The API answered ${status} in place of the next page.`,
    request_id: requestId ?? ownRequestId,
    ...readFields(body)
  }
}

function readFields (body: Buffer): object {
  try {
    const { fields } = JSON.parse(body.toString('utf8')) as { fields?: unknown }
    return fields === undefined ? {} : { fields }
  } catch {
    return {}
  }
}
