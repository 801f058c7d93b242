import type { ParseArgsConfig } from 'node:util'
import type { Settings } from '../config/table.ts'

/** One command of the command line. Each has a file of its own in this folder, named after it, that exports `command`. */
export interface Command {
  name: string
  /** One line for the overview. */
  summary: string
  /** What `izuma-proxy help NAME` prints below the summary. Examples must work as printed. */
  help: string
  /** Options of its own, beside the flags of the settings table. */
  options: NonNullable<ParseArgsConfig['options']>
  /** Takes the settings' flags too; without it such a flag is unknown. */
  takesSettings: boolean
  /** Takes words behind its name that are no flags, perhaps only behind `--`; without it they are wrong usage. */
  takesArguments?: true | 'behind dashes'
  /** Resolves to the exit code: 0 done, 1 failed, 2 wrong usage. */
  run (invocation: Invocation): Promise<number>
}

export type OptionValue = string | boolean | Array<string | boolean> | undefined

export interface Invocation {
  /** Positional arguments after the command's name. */
  args: string[]
  /** Values of the command's own options. */
  options: Record<string, OptionValue>
  /** Decodes and checks the settings; throws SettingsError, which main.ts prints (exit 2). */
  settings (wishes?: SettingWishes): Settings
  terminal: Terminal
}

/** How a command wants the settings other than `start` has them. */
export interface SettingWishes {
  /** Flags that the command sets itself; nobody else may. */
  flags?: Record<string, string>
  /** Instead of the table's defaults, by variable. */
  defaults?: Record<string, string>
  /** Variables of ours that don't count for this command, neither in the environment nor in `.env`. */
  isIgnored? (name: string): boolean
}

/** The process as a command may see it: main.ts makes the real one, tests make their own. */
export interface Terminal {
  stdout: NodeJS.WritableStream & { isTTY?: boolean, columns?: number }
  stderr: NodeJS.WritableStream & { isTTY?: boolean }
  environment: Record<string, string | undefined>
  cwd: string
  /** Aborted by the first SIGINT or SIGTERM, with the signal's name as reason. */
  interrupted: AbortSignal
  /** Listens to SIGHUP. Returns an unsubscribe function. */
  onHangup (listener: () => void): () => void
  /** argv[0] and the arguments with which this very program can be started again. */
  self: { execPath: string, script: string }
  pid: number
  nodeVersion: string
}

/** Wrong usage: main.ts prints the message and exits with 2. */
export class UsageError extends Error {}
