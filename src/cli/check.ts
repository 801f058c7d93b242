import type { Command } from './command.ts'
import type { CheckResult } from './check-result.ts'
import { runChecks } from './checks.ts'
import { SettingsError } from '../config/load.ts'
import type { Settings } from '../config/table.ts'

export const command: Command = {
  name: 'check',
  summary: 'test settings, name resolution, TLS, key, clock, files, trail and channel',
  help: `
One line for each check, with what to do about a failure; exits 1 if one failed. Makes at most two small requests to the API
and changes nothing.

  izuma-proxy check --access-key-file ~/.izuma-key
  izuma-proxy check --json`,
  options: { json: { type: 'boolean' } },
  takesSettings: true,
  async run ({ settings: load, options, terminal }) {
    const results: CheckResult[] = []
    const report = (result: CheckResult) => {
      results.push(result)
      if (!options['json']) terminal.stdout.write(renderResult(result))
    }
    const settings = loadOrReport(load, report)
    if (settings !== undefined) await runChecks(settings, terminal.environment, report)
    if (options['json']) terminal.stdout.write(JSON.stringify({ ok: results.every(({ state }) => state !== 'failed'), checks: results }, null, 2) + '\n')
    return results.some(({ state }) => state === 'failed') ? 1 : 0
  }
}

function loadOrReport (load: () => Settings, report: (result: CheckResult) => void): Settings | undefined {
  try {
    const settings = load()
    report({ name: 'settings', state: 'ok', found: 'all valid' })
    return settings
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    report({ name: 'settings', state: 'failed', found: error.problems.join('; '), fix: 'correct them; config/README.md lists all settings' })
    return undefined
  }
}

const marks = { ok: 'ok  ', warning: 'warn', failed: 'FAIL', skipped: 'skip' }

function renderResult ({ name, state, found, fix }: CheckResult): string {
  return `${marks[state]}  ${name.padEnd(10)} ${found}${fix === undefined ? '' : `\n                 -> ${fix}`}\n`
}
