import { chooseSource, type KeySettings } from './choose-source.ts'
import { KeyFault } from './key-text.ts'
import { redact } from './redact.ts'
import type { Secret } from './secret.ts'

/**
 * Reads the key once, as the proxy would: for `check`. Rejects with an Error that says which source it was, why it
 * failed, and what to do.
 */
export async function readAccessKey (settings: KeySettings, environment: Record<string, string | undefined>): Promise<{ key: Secret, warning?: string }> {
  let said = ''
  const source = chooseSource({ settings, environment, onErrorOutput: text => { said = redact(text).trim() } })
  try {
    const key = await source.read()
    return source.warning === undefined ? { key } : { key, warning: source.warning }
  } catch (error) {
    if (!(error instanceof KeyFault)) throw error
    throw new Error(`${describeFault(source.name, error)}${said === '' ? '' : `; it said: ${said}`}`)
  } finally {
    source.close()
  }
}

/** `/run/key may be used by others (mode 0644): chmod 600 /run/key` */
export function describeFault (name: string, fault: KeyFault): string {
  return `${name} ${fault.message}: ${fault.nextStep}`
}
