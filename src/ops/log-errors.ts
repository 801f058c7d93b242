/** An error as the log shows it: what names it and where it came from, none of the objects that hang on it. */
export interface LoggedError {
  type: string
  message: string
  code?: string
  stack?: string
  cause?: LoggedError
}

const deepestCause = 4

/**
 * Errors of HTTP clients carry requests, headers and sockets along; only these fields are printed. `code` is the
 * system's (`ECONNREFUSED`) or a library's. The cause is followed, since the constant messages say little.
 */
export function describeError (error: unknown, depth = 0): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) }
  const { name, message, stack, cause } = error
  const code = 'code' in error && (typeof error.code === 'string' || typeof error.code === 'number') ? String(error.code) : undefined
  return {
    type: name,
    message,
    ...(code !== undefined && { code }),
    ...(stack !== undefined && { stack }),
    ...(cause !== undefined && depth < deepestCause && { cause: describeError(cause, depth + 1) })
  }
}
