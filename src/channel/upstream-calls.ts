import type { TrailService, OpenEntry } from '../trail/record.ts'
import type { UpstreamAnswer, UpstreamRequest, UpstreamService } from '../decorations.ts'
import { isProxyError, isRefusal } from '../errors.ts'

export interface SmallAnswer { status: number, headers: UpstreamAnswer['headers'], text: string }

/** Longest body of an answer that the room itself looks into. */
const maxAnswerBytes = 4 * 1024 * 1024

/** Requests the room makes in the proxy's own name, each on the trail before it goes out. */
export class UpstreamCalls {
  readonly #upstream: Pick<UpstreamService, 'send'>
  readonly #trail: TrailService

  constructor (upstream: Pick<UpstreamService, 'send'>, trail: TrailService) {
    this.#upstream = upstream
    this.#trail = trail
  }

  /** @param parentId of the member's request that needs it; without one it is for all members */
  async call (request: UpstreamRequest, parentId = ''): Promise<SmallAnswer> {
    const entry = await this.begin(request.method, request.path, parentId)
    try {
      const answer = await sendFor(this.#upstream, entry, { ...request, isHousekeeping: parentId === '' })
      const text = await readText(answer)
      entry.answeredAt = performance.now()
      this.#trail.close(entry, { outcome: 'answered' })
      return { status: answer.status, headers: answer.headers, text }
    } catch (error) {
      this.#trail.close(entry, describeFailure(error))
      throw error
    }
  }

  /** An entry of the proxy's own, recorded: what it stands for may go upstream. */
  async begin (method: string, target: string, parentId = ''): Promise<OpenEntry> {
    const [path = '', query = ''] = target.split('?', 2)
    const entry = this.#trail.open({ kind: 'channel', member: '', method, path, query, parent_id: parentId })
    await record(this.#trail, entry)
    return entry
  }
}

export function record (trail: TrailService, entry: OpenEntry): Promise<void> {
  return new Promise((resolve, reject) => trail.record(entry, error => error ? reject(error) : resolve()))
}

/** Sends and writes into the entry what the answer's head tells. The entry must have been recorded. */
export async function sendFor (upstream: Pick<UpstreamService, 'send'>, entry: OpenEntry, request: UpstreamRequest): Promise<UpstreamAnswer> {
  entry.sentAt = performance.now()
  const answer = await upstream.send({ ...request, onSent: () => { entry.attempts++ } })
  entry.status = answer.status
  entry.ttfb_ms = performance.now() - entry.openedAt
  const requestId = answer.headers['x-request-id']
  if (typeof requestId === 'string') entry.upstream_request_id = requestId.slice(0, 128)
  return answer
}

export function describeFailure (error: unknown): Partial<Pick<OpenEntry, 'outcome' | 'error_type'>> {
  return { outcome: isRefusal(error) ? 'refused' : 'failed', error_type: isProxyError(error) ? error.type : 'internal_error' }
}

export async function readText ({ body }: UpstreamAnswer): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > maxAnswerBytes) {
      body.destroy()
      throw new Error('the answer is larger than anything this endpoint should give')
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
