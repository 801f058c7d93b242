import { spawnSync } from 'node:child_process'

/**
 * For tap's `skip` option: why a test can't run on this machine, or `false`. On CI nothing is skipped: a missing tool
 * fails there.
 */
export function missingTool (commands: string[], debianPackages: string): string | false {
  if (process.env['CI'] === 'true') return false
  const missing = commands.filter(command => spawnSync('sh', ['-c', 'command -v "$0"', command]).status !== 0)
  return missing.length > 0 && `needs ${missing.join(', ')} (apt-get install ${debianPackages})`
}
