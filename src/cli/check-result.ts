export interface CheckResult {
  name: string
  state: 'ok' | 'warning' | 'failed' | 'skipped'
  /** What was found. No secrets. */
  found: string
  /** What to do, unless it is ok. */
  fix?: string
}

export type Report = (result: CheckResult) => void

/** The code at the root of it, or what it says. */
export function describeCause (error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code } = error as NodeJS.ErrnoException
  if (error.cause !== undefined) return describeCause(error.cause)
  return code === undefined || code.startsWith('ERR_SQLITE') ? error.message : code
}
