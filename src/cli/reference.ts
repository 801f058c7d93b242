import { renderAdvice } from '../advice/reference.ts'
import { renderReference } from '../config/reference.ts'
import type { Command } from './command.ts'

const advice = `## Advice

\`X-Proxy-Advice\` on an answer names what looks wrong with the request, by the API's own documentation. Nothing is blocked or changed.`

/** config/README.md, whole. */
export function renderPage (): string {
  return [renderReference(), advice, '', renderAdvice()].join('\n')
}

export const command: Command = {
  name: 'reference',
  summary: 'print the reference of all settings and error types (config/README.md)',
  help: 'Prints Markdown. In a checkout, npm run docs writes it to config/README.md.',
  options: {},
  takesSettings: false,
  async run ({ terminal }) {
    terminal.stdout.write(renderPage())
    return 0
  }
}
