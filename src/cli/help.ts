import { table } from '../config/table.ts'
import type { Command } from './command.ts'
import { commandNames, loadCommand } from './commands.ts'

export async function renderOverview (): Promise<string> {
  const commands = await Promise.all(commandNames.map(name => loadCommand(name)))
  return [
    'izuma-proxy: a local authenticating reverse proxy for the Izuma Device Management APIs.',
    '',
    'Usage: izuma-proxy [COMMAND] [OPTIONS]',
    '',
    'Commands:',
    ...commands.map(command => `  ${command?.name.padEnd(10)} ${command?.summary}`),
    '',
    'izuma-proxy help COMMAND says more. Every setting is a flag, an environment variable and a line in .env;',
    'config/README.md lists them. The access key itself is never a flag.',
    ''
  ].join('\n')
}

export function renderHelp (command: Command): string {
  const own = Object.entries(command.options).map(([name, { type }]) => `  --${name}${type === 'string' ? ' VALUE' : ''}`)
  return [
    `izuma-proxy ${command.name}: ${command.summary}`,
    '',
    command.help.trim(),
    ...(own.length === 0 ? [] : ['', 'Options:', ...own]),
    ...(command.takesSettings ? ['', 'Settings:', ...renderSettings()] : []),
    ''
  ].join('\n')
}

function renderSettings (): string[] {
  return Object.values(table).map(({ flag, env, default: value, doc }) =>
    `  ${(flag ?? '(no flag)').padEnd(34)} ${env}${value ? ` [${value}]` : ''}\n      ${doc.replaceAll('`', '')}`)
}
