import { parseArgs } from 'node:util'
import { loadSettings, SettingsError, suggest } from '../config/load.ts'
import { rows, type Settings } from '../config/table.ts'
import { UsageError, type Command, type Invocation, type OptionValue, type SettingWishes, type Terminal } from './command.ts'
import { commandNames, loadCommand } from './commands.ts'
import { renderHelp, renderOverview } from './help.ts'
import { version } from './version.ts'

/** The content of `.env`, read when it is needed. */
type ReadDotenv = () => Record<string, string>

/** Runs one command line; resolves to the exit code. Everything a user may type wrong ends here as one clear message. */
export async function runCommandLine (argv: string[], terminal: Terminal, readDotenv: ReadDotenv): Promise<number> {
  try {
    return await dispatch(argv, terminal, readDotenv)
  } catch (error) {
    if (error instanceof UsageError || error instanceof SettingsError) {
      terminal.stderr.write(`izuma-proxy: ${error.message}\n`)
      return 2
    }
    terminal.stderr.write(`izuma-proxy: ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
}

async function dispatch (argv: string[], terminal: Terminal, readDotenv: ReadDotenv): Promise<number> {
  const [first = ''] = argv
  if (first === '--version' || first === '-v') return print(terminal, version())
  if (first === '--help' || first === '-h' || (first === 'help' && argv.length === 1)) return print(terminal, await renderOverview())
  if (first === 'help') return print(terminal, renderHelp(await findCommand(argv[1] ?? '')))
  const named = first !== '' && !first.startsWith('-')
  const command = await findCommand(named ? first : 'start')
  const rest = named ? argv.slice(1) : argv
  if (beforeDashes(rest).some(word => word === '--help' || word === '-h')) return print(terminal, renderHelp(command))
  return command.run(parseInvocation(command, rest, terminal, readDotenv))
}

function beforeDashes (words: string[]): string[] {
  const end = words.indexOf('--')
  return end === -1 ? words : words.slice(0, end)
}

function print (terminal: Terminal, text: string): number {
  terminal.stdout.write(text.endsWith('\n') ? text : text + '\n')
  return 0
}

async function findCommand (name: string): Promise<Command> {
  const command = await loadCommand(name)
  if (command !== undefined) return command
  const nearest = suggest(name, commandNames)
  throw new UsageError(`there is no command ${JSON.stringify(name)}${nearest === undefined ? '' : `; did you mean "${nearest}"?`} (izuma-proxy help lists them)`)
}

const settingFlags = new Map(rows.flatMap(([, row]) => row.flag === undefined ? [] : [[row.flag.slice(2), row] as const]))

function parseInvocation (command: Command, words: string[], terminal: Terminal, readDotenv: ReadDotenv): Invocation {
  const settingOptions = command.takesSettings ? Object.fromEntries([...settingFlags.keys()].map(name => [name, { type: 'string' as const }])) : {}
  const { values, positionals, tokens } = parseArgs({
    args: words, options: { ...settingOptions, ...command.options }, allowPositionals: true, strict: false, tokens: true
  })
  const flags: Record<string, string> = {}
  const options: Record<string, OptionValue> = Object.fromEntries(Object.entries(command.options).map(([name, { default: value }]) => [name, value]))
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const own = command.options[token.name]
    if (own !== undefined) {
      if (own.type === 'string' && token.value === undefined) throw new UsageError(`${token.rawName} needs a value`)
      if (own.type === 'boolean' && token.value !== undefined) throw new UsageError(`${token.rawName} takes no value`)
      options[token.name] = values[token.name] as OptionValue
    } else if (command.takesSettings) {
      if (settingFlags.has(token.name) && token.value === undefined) throw new UsageError(`${token.rawName} needs a value`)
      flags[token.rawName] = token.value ?? ''
    } else {
      throw new UsageError(describeUnknownOption(command, token.rawName))
    }
  }
  const settings = (wishes: SettingWishes = {}) => loadWished(command, flags, wishes, terminal, readDotenv)
  if (command.takesArguments === 'behind dashes' && positionals.length > 0 && !words.includes('--')) throw new UsageError(`${command.name} needs -- before the command: izuma-proxy ${command.name} -- ${positionals[0]} …`)
  rejectUnknownFlags(command, flags, settings)
  if (command.takesArguments === undefined && positionals.length > 0) throw new UsageError(describeUnexpected(command, positionals[0] as string))
  return { args: positionals, options, terminal, settings }
}

function loadWished (command: Command, given: Record<string, string>, { flags = {}, defaults = {}, isIgnored = () => false }: SettingWishes, terminal: Terminal, readDotenv: ReadDotenv): Settings {
  const taken = Object.keys(given).find(flag => flag in flags)
  if (taken !== undefined) throw new UsageError(`${command.name} sets ${taken} itself`)
  const heed = <T>(variables: Record<string, T>) => Object.fromEntries(Object.entries(variables).filter(([name]) => !isIgnored(name)))
  return loadSettings({ flags: { ...given, ...flags }, environment: heed(terminal.environment), dotenv: heed(readDotenv()), defaults })
}

/** Unknown setting flags are the settings' to report, all at once; unless they look like an option of this command. */
function rejectUnknownFlags (command: Command, flags: Record<string, string>, load: () => Settings): void {
  const unknown = Object.keys(flags).filter(flag => !settingFlags.has(flag.slice(2)))
  for (const flag of unknown) {
    const nearest = suggest(flag, [...settingFlags.keys(), ...Object.keys(command.options)].map(name => `--${name}`))
    if (nearest !== undefined && nearest.slice(2) in command.options) throw new UsageError(describeUnknownOption(command, flag))
  }
  if (unknown.length > 0) load()
}

function describeUnexpected (command: Command, word: string): string {
  const meant = commandNames.includes(word) ? `; the command comes first: izuma-proxy ${word} …` : ''
  return `${command.name} takes no ${JSON.stringify(word)}${meant} (izuma-proxy help ${command.name})`
}

function describeUnknownOption (command: Command, given: string): string {
  const nearest = suggest(given, Object.keys(command.options).map(name => `--${name}`))
  return `${command.name} has no option ${given}${nearest === undefined ? '' : `; did you mean ${nearest}?`} (izuma-proxy help ${command.name})`
}
