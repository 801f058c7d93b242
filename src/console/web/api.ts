/** An answer that says no. The message is the proxy's own, or the API's: text, never markup. */
export class AnswerError extends Error {
  readonly status: number
  readonly type: string
  readonly fields: Array<{ name: string, message: string }>

  constructor (status: number, body: { type?: unknown, message?: unknown, fields?: unknown } | undefined) {
    super(typeof body?.message === 'string' ? body.message : `The proxy answered ${status}.`)
    this.status = status
    this.type = typeof body?.type === 'string' ? body.type : ''
    this.fields = Array.isArray(body?.fields) ? body.fields as AnswerError['fields'] : []
  }
}

let onLost = (): void => {}

/** Called when the proxy no longer knows who asks: logged out elsewhere, expired or revoked. */
export function whenSessionIsLost (listener: () => void): void {
  onLost = listener
}

export function reportLostSession (): void {
  onLost()
}

export interface AskOptions { method?: string, body?: unknown, headers?: Record<string, string>, signal?: AbortSignal, accept?: string }

async function request (path: string, { method = 'GET', body, headers = {}, signal, accept = 'application/json' }: AskOptions): Promise<Response> {
  const response = await fetch(path, {
    method,
    credentials: 'same-origin',
    cache: 'no-store',
    headers: { accept, ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal && { signal })
  })
  if (response.ok) return response
  throw new AnswerError(response.status, await response.json().catch(() => undefined) as object | undefined)
}

/** @throws AnswerError, or TypeError if the proxy can't be reached */
export async function ask<Answer> (path: string, options: AskOptions = {}): Promise<Answer> {
  const response = await guarded(path, options)
  return await (response.status === 204 ? undefined : response.json()) as Answer
}

export async function askText (path: string, accept: string): Promise<string> {
  return await (await guarded(path, { accept })).text()
}

async function guarded (path: string, options: AskOptions): Promise<Response> {
  try {
    return await request(path, options)
  } catch (error) {
    if (error instanceof AnswerError && error.status === 401 && path !== '/_proxy/session') onLost()
    throw error
  }
}

export function describeFailure (error: unknown): string {
  if (!(error instanceof AnswerError)) return 'The proxy can’t be reached.'
  const fields = error.fields.map(({ name, message }) => `${name}: ${message}`)
  return fields.length > 0 ? fields.join(' ') : error.message
}

export function isAborted (error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError'
}

/** The same question will be answered the same way. */
export function isWrongQuery (error: unknown): boolean {
  return error instanceof AnswerError && error.status === 400
}
