import { renderReference } from '../config/reference.ts'
import type { Command } from './command.ts'

export const command: Command = {
  name: 'reference',
  summary: 'print the reference of all settings and error types (config/README.md)',
  help: 'Prints Markdown. In a checkout, npm run docs writes it to config/README.md.',
  options: {},
  takesSettings: false,
  async run ({ terminal }) {
    terminal.stdout.write(renderReference())
    return 0
  }
}
