import { SettingsError } from '../config/load.ts'
import { parseRule } from './pattern.ts'
import { compilePolicy } from './policy.ts'
import { createCredential, type Credential } from './credential.ts'

/**
 * Everyone, when there is no team: whatever runs on this machine. May do everything but what the default presets deny, because a
 * page or a script that nobody looked at is `local` too and could otherwise make itself a key to take along.
 *
 * @param allow `PROXY_LOCAL_ALLOW`: rules that lift them
 * @throws SettingsError
 */
export function createLocal (allow: readonly string[]): Credential {
  const mistakes = allow.flatMap(rule => {
    try {
      parseRule(rule)
      return []
    } catch (error) {
      return [`PROXY_LOCAL_ALLOW: ${JSON.stringify(rule)} ${(error as Error).message}`]
    }
  })
  if (mistakes.length > 0) throw new SettingsError(mistakes)
  const policy = compilePolicy({ role: 'admin', mode: 'enforce', presets: [], allow: ['/**', ...allow], deny: [], devices: [] })
  return createCredential({ name: 'local', role: 'admin' }, { policy, digest: '', expiresMs: Infinity, session: '' })
}
