/**
 * What went wrong with Redis in a word, such as ECONNREFUSED or WRONGPASS. Never the error itself: those of ioredis carry
 * the command that failed, and that of the login carries the password.
 */
export function nameFailure (error: unknown): string {
  const { code, message = '' } = error as { code?: unknown, message?: string }
  if (typeof code === 'string' && /^[A-Z][A-Z0-9_]*$/.test(code)) return code
  if (/timed? ?out/i.test(message)) return 'ETIMEDOUT'
  return /^([A-Z]{3,})\b/.exec(message)?.[1] ?? 'not connected'
}
