import { renderAdvice } from '../advice/reference.ts'
import { renderReference } from '../config/reference.ts'
import { fleetReference } from '../fleet/reference.ts'
import { pagesReference } from '../pages/reference.ts'
import type { Command } from './command.ts'

const advice = `## Advice

\`X-Proxy-Advice\` on an answer names what looks wrong with the request, by the API's own documentation. Nothing is blocked or changed. It is a
structured field (RFC 9651), a list of names with a text each; the log line and the trail's \`notes\` have the names.

\`\`\`
$ curl -s -o /dev/null -D - 'http://127.0.0.1:8080/v3/devices/sensor-17' | grep -i advice
X-Proxy-Advice: not_a_device_id;text="A Device ID has 32 hexadecimal digits; this is a name of another kind. To find a device by its endpoint name (its PSK identity too): GET /v3/devices?endpoint_name__eq=NAME"
\`\`\``

/** config/README.md, whole. */
export function renderPage (): string {
  return [renderReference(), pagesReference, fleetReference, advice, '', renderAdvice()].join('\n')
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
