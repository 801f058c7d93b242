import type { Readable } from 'node:stream'

/** What a handler answers. At most one of `json`, `text`, `bytes` and `stream`. */
export interface Answer {
  status: number
  headers?: Record<string, string | string[]>
  json?: unknown
  /** Sent as `text/plain` unless the headers say otherwise. */
  text?: string
  bytes?: Buffer
  stream?: Readable
}

export const ok = (json: unknown): Answer => ({ status: 200, json })
export const noContent = (): Answer => ({ status: 204 })
export const plain = (status: number, text: string): Answer => ({ status, text })

export interface FieldFault { name: string, message: string }

/** Thrown by handlers, answered as the API's error object. */
export class ApiError extends Error {
  readonly status: number
  readonly type: string
  readonly fields: FieldFault[] | undefined

  constructor (status: number, type: string, message: string, fields?: FieldFault[]) {
    super(message)
    this.status = status
    this.type = type
    this.fields = fields
  }
}

/** Thrown by handlers of the v2 services, which answer with nothing but a word, e.g. `DEVICE_NOT_FOUND`. */
export class PlainError extends Error {
  readonly status: number

  constructor (status: number, word: string) {
    super(word)
    this.status = status
  }
}

export const errors = {
  unauthorized: () => new ApiError(401, 'unauthorized', 'Access is denied.'),
  invalidAuth: () => new ApiError(401, 'invalid_auth', 'Invalid access token.'),
  forbidden: (message = 'The authorization token used is not an access key.') => new ApiError(403, 'forbidden', message),
  limitExceeded: (message: string) => new ApiError(403, 'account_limit_exceeded', message),
  notFound: (message = 'Not found.') => new ApiError(404, 'not_found', message),
  methodNotAllowed: () => new ApiError(405, 'method_not_allowed', 'Method not allowed.'),
  duplicate: (message: string) => new ApiError(409, 'duplicate', message),
  badRequest: (message: string) => new ApiError(400, 'bad_request', message),
  validation: (...fields: FieldFault[]) => new ApiError(400, 'validation_error', 'One of the request fields has failed validation.', fields),
  tooLarge: () => new ApiError(413, 'request_entity_too_large', 'Request entity too large.'),
  internal: () => new ApiError(500, 'internal_error', 'Unexpected internal server error.')
}

/** The answer to whatever a handler threw. */
export function answerError (error: unknown, requestId: string): Answer {
  if (error instanceof PlainError) return plain(error.status, error.message)
  const { status, type, message, fields } = error instanceof ApiError ? error : errors.internal()
  const body = { object: 'error', code: status, type, message, request_id: requestId }
  return { status, json: fields === undefined ? body : { ...body, fields } }
}
