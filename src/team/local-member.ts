import { SettingsError } from '../config/load.ts'
import { createCredential, type Credential } from './credential.ts'
import { parseRule } from './pattern.ts'
import { deferPolicy } from './policy.ts'
import { defaultPresets, presetNames, presetRules, type PresetName } from './presets.ts'

/**
 * Everyone, when there is no team: whoever may use this machine as this user could read the key itself, so nothing is
 * denied that wasn't asked for. Pages in a browser are the guard's business.
 *
 * @param deny `PROXY_LOCAL_DENY`: presets and rules
 * @throws SettingsError
 */
export function createLocal (deny: readonly string[]): Credential {
  const presets = presetNames.filter(name => deny.includes(name))
  const rules = deny.filter(item => !presetNames.includes(item as PresetName))
  const mistakes = rules.flatMap(describeMistake)
  if (mistakes.length > 0) throw new SettingsError(mistakes)
  const lifted = presetRules(defaultPresets.filter(name => !presets.includes(name))).map(rule => rule.text)
  const policy = deferPolicy({ role: 'admin', mode: 'enforce', presets, allow: ['/**', ...lifted], deny: rules, devices: [] })
  return createCredential({ name: 'local', role: 'admin' }, { policy, digest: '', expiresMs: Infinity, session: '' })
}

function describeMistake (rule: string): string[] {
  try {
    parseRule(rule)
    return []
  } catch (error) {
    return [`PROXY_LOCAL_DENY: ${JSON.stringify(rule)} is no preset (${presetNames.join(', ')}) and ${(error as Error).message}`]
  }
}
