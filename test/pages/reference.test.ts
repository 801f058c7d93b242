import { readFileSync } from 'node:fs'
import t from 'tap'
import { ask } from '../support/client.ts'
import { startProduct } from '../support/product.ts'

const page = readFileSync(new URL('../../config/README.md', import.meta.url), 'utf8')

interface Example { path: string, accept: string, onlyLast: boolean, shown: string[] }

/** Each `$ curl …` of the reference page with what it says that it prints. */
const examples = [...page.matchAll(/```\n\$ (curl [^\n]+)\n([^`]+)```/g)].map(([, command = '', output = '']): Example => ({
  path: /http:\/\/127\.0\.0\.1:8080([^']+)/.exec(command)?.[1] ?? '',
  accept: /Accept: ([^']+)/.exec(command)?.[1] ?? '*/*',
  onlyLast: command.endsWith('| tail -1'),
  shown: output.trim().split('\n')
}))

/** `…` stands for what was left out; each request has an id of its own. */
function pattern (shown: string): RegExp {
  const parts = shown.split(/ ?… ?/).map(part => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll(/("request_id":")[0-9a-f]{32}/g, '$1[0-9a-f]{32}'))
  return new RegExp(`^${parts.join('.*')}$`)
}

t.test('the reference page shows whole lists and advice as they are', async t => {
  const { url, sandbox } = await startProduct(t, { sandbox: { devices: 2000, quiet: true }, flags: { '--channel': 'off' } })
  t.equal(examples.length, 4)
  for (const { path, accept, onlyLast, shown } of examples) {
    if (onlyLast) sandbox.misbehave({ path: '/v3/devices', skip: 2, count: 1, status: 500, body: { object: 'error', code: 500, type: 'internal_error', message: 'Unexpected internal server error.', request_id: '0'.repeat(32) } })
    const { text, headers } = await ask(url, path, { headers: { accept } })
    const lines = path.startsWith('/_proxy/pages/') ? text.trim().split('\n') : [`X-Proxy-Advice: ${String(headers['x-proxy-advice'])}`]
    for (const [index, line] of (onlyLast ? lines.slice(-1) : lines).entries()) t.match(line, pattern(shown[index] ?? ''), `${path} ${index}`)
  }
})
