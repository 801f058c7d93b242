import { distance } from 'fastest-levenshtein'
import { Check } from 'typebox/value'
import { checkTogether } from './together.ts'
import { rows, type Row, type SettingKey, type Settings } from './table.ts'

/** Where settings come from, strongest first. Values are text. */
export interface Sources {
  /** By flag name with its dashes: `--region`. */
  flags: Record<string, string>
  environment: Record<string, string | undefined>
  /** Content of `.env`, parsed. */
  dotenv: Record<string, string>
  /** What a command has instead of the table's defaults, by variable. */
  defaults?: Record<string, string>
}

/** Every wrong setting at once: one line each, with what to do. */
export class SettingsError extends Error {
  readonly problems: string[]

  constructor (problems: string[]) {
    super(`${problems.length === 1 ? 'A setting is' : `${problems.length} settings are`} wrong:\n${problems.map(problem => `  - ${problem}`).join('\n')}`)
    this.name = 'SettingsError'
    this.problems = problems
  }
}

export function loadSettings (sources: Sources): Settings {
  const problems = findUnknownNames(sources)
  const settings: Partial<Record<SettingKey, unknown>> = {}
  const wrong = new Set<SettingKey>()
  for (const [key, row] of rows) {
    const before = problems.length
    settings[key] = loadOne(row, sources, problems)
    if (problems.length > before) wrong.add(key)
  }
  problems.push(...checkTogether(settings as Settings, wrong, sources.environment))
  if (problems.length > 0) throw new SettingsError(problems)
  return settings as Settings
}

function loadOne (row: Row, sources: Sources, problems: string[]): unknown {
  const given = findGiven(row, sources)
  if (given === undefined) {
    const usual = sources.defaults?.[row.env] ?? row.default
    return usual === undefined ? undefined : row.kind.decode(usual)
  }
  const shown = row.sensitive ? '(value not shown)' : JSON.stringify(given.text)
  if (!Check(row.kind.schema, given.text)) {
    problems.push(`${given.name} = ${shown}: expected ${row.kind.expected}`)
    return undefined
  }
  try {
    return row.kind.decode(given.text)
  } catch (error) {
    problems.push(`${given.name} = ${shown}: ${row.sensitive ? `expected ${row.kind.expected}` : (error as Error).message}`)
    return undefined
  }
}

/** An empty environment variable counts as not set, as shells and compose files produce them. */
function findGiven (row: Row, { flags, environment, dotenv }: Sources) {
  const flag = row.flag === undefined ? undefined : flags[row.flag]
  if (flag !== undefined) return { name: row.flag as string, text: flag }
  if (environment[row.env]) return { name: row.env, text: environment[row.env] as string }
  if (dotenv[row.env]) return { name: `${row.env} (.env)`, text: dotenv[row.env] as string }
  return undefined
}

function findUnknownNames ({ flags, environment, dotenv }: Sources): string[] {
  const names = rows.map(([, row]) => row.env)
  const flagNames = rows.flatMap(([, row]) => row.flag ?? [])
  return [
    ...Object.keys(flags).filter(flag => !flagNames.includes(flag)).map(flag => describeUnknown(flag, flagNames)),
    ...Object.keys(environment).filter(isOurs).filter(name => !names.includes(name)).map(name => describeUnknown(name, names)),
    ...Object.keys(dotenv).filter(isOurs).filter(name => !names.includes(name)).map(name => `${describeUnknown(name, names)} (in .env)`)
  ]
}

function isOurs (name: string): boolean {
  return /^(IZUMA|PROXY)_/.test(name)
}

function describeUnknown (name: string, known: string[]): string {
  if (name === '--access-key') return '--access-key: the key is never a flag, every user of the machine can read command lines; use --access-key-file'
  const nearest = suggest(name, known)
  return `${name}: no such setting${nearest ? `; did you mean ${nearest}?` : ''}`
}

/** The known name nearest to a mistyped one, if any is near enough to be meant. */
export function suggest (name: string, known: readonly string[]): string | undefined {
  const ranked = known.map(candidate => ({ candidate, edits: distance(name, candidate) })).sort((a, b) => a.edits - b.edits)
  const best = ranked[0]
  return best && best.edits <= Math.max(2, name.length / 3) ? best.candidate : undefined
}
