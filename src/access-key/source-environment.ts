import { parseKey } from './key-text.ts'
import type { KeySource } from './source.ts'

/** The variable that holds the key itself. */
export const keyVariable = 'IZUMA_ACCESS_KEY'

/**
 * For local trials. The kernel shows a process's first environment to every process of the same user
 * (`/proc/PID/environ`), diagnostic reports copy it, and deleting the variable changes neither.
 */
export function createEnvironmentSource (value: string): KeySource {
  return {
    kind: 'environment',
    name: keyVariable,
    warning: `${keyVariable} is in the environment, where other processes of this user and diagnostic reports show it: use IZUMA_ACCESS_KEY_FILE`,
    read: async () => parseKey(value),
    rereadWhenRefused: false,
    // The value cannot change while the process lives.
    retryAfterMs: () => Infinity,
    watch () {},
    close () {}
  }
}

/** The environment that a child process may see. */
export function withoutKey (environment: Record<string, string | undefined>): Record<string, string | undefined> {
  const { [keyVariable]: _, ...rest } = environment
  return rest
}
