import type { ErrorType } from '../errors.ts'

/** Codes of OpenSSL's verification and of Node's TLS layer; see https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const certificateCodes = /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_|ERR_SSL_|ERR_OSSL_|EPROTO$|HOSTNAME_MISMATCH|INVALID_|PATH_LENGTH_|CRL_|ERROR_IN_|INVALID_CA|OUT_OF_MEM)/

const timeoutCodes = new Set(['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT'])

const unreachableCodes = new Set([
  'ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN', 'ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EADDRNOTAVAIL',
  'EMFILE', 'ENFILE', 'UND_ERR_DESTROYED', 'UND_ERR_CLOSED', 'UND_ERR_PRX_TLS', 'UND_ERR_PROXY'
])

/**
 * Which of our error types a failed exchange with upstream is.
 * `sent` tells whether the request had gone out on a connection: a reset before that is a failed connect.
 */
export function classifyFailure (error: unknown, sent: boolean): ErrorType {
  const code = findCode(error)
  if (timeoutCodes.has(code)) return 'upstream_timeout'
  if (certificateCodes.test(code)) return 'upstream_tls_failed'
  if (unreachableCodes.has(code)) return 'upstream_unreachable'
  return sent ? 'upstream_invalid_response' : 'upstream_unreachable'
}

/** Happy-eyeballs failures arrive as an AggregateError; the first error's code speaks for all. */
function findCode (error: unknown): string {
  if (error instanceof AggregateError) return findCode(error.errors[0])
  if (!(error instanceof Error)) return ''
  if ('code' in error && typeof error.code === 'string') return error.code
  return error.cause === undefined ? '' : findCode(error.cause)
}

const idempotentMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

export interface BrokenExchange {
  method: string
  hasBody: boolean
  /** The connection had been open before this request was written to it. */
  reusedConnection: boolean
  /** Any byte of an answer had arrived. */
  answerBegan: boolean
  attempts: number
  failure: ErrorType
}

/**
 * The one request that is sent twice without the caller asking: idempotent, nothing of an answer seen, and lost on a
 * connection that the API had probably closed while it lay idle (RFC 9110 §9.2.2, RFC 9112 §9.3.1).
 */
export function maySendAgain ({ method, hasBody, reusedConnection, answerBegan, attempts, failure }: BrokenExchange): boolean {
  return reusedConnection && !answerBegan && attempts === 1 && !hasBody &&
    failure === 'upstream_invalid_response' && idempotentMethods.has(method)
}
