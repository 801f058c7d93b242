import type { Sandbox } from '../sandbox/index.ts'
import type { Terminal } from './command.ts'

interface Show { url: string, sandbox: Sandbox, terminal: Terminal, trail: string }

/** The demo's text: three requests as a newcomer would send them, and what each side saw of them. */
export async function showDemo ({ url, sandbox, terminal, trail }: Show): Promise<void> {
  const say = (text = '') => terminal.stdout.write(text + '\n')
  say(`
izuma-proxy ${url}  ->  sandbox ${sandbox.origin}
The sandbox stands in for the API and takes only its own access key. The proxy holds that key; nobody else does.
`)
  const first = await send(say, 'Without the proxy, without the key', sandbox, '/v3/devices?limit=2', undefined)
  say(`   the API says ${first.status}: no key, no answer\n`)
  const listed = await send(say, 'Through the proxy, without the key', sandbox, '/v3/devices?limit=2', url)
  say(`   the API says ${listed.status}, ${countDevices(listed.body)} devices; its request id is ${listed.requestId}`)
  say(`   what reached the API: Authorization: ${describeAuthorization(sandbox)}\n`)
  const leaky = await send(say, 'A page that puts a key in the URL, as old samples did', sandbox, `/v3/devices?limit=2&apiKey=ak_1${'x'.repeat(40)}`, url)
  say(`   the API says ${leaky.status}, and saw ${lastUrl(sandbox)}: the key was taken out and noted\n`)
  say('Now try it yourself, in another terminal:\n')
  for (const line of nextSteps(url, listed.id, trail)) say(`  ${line}`)
  say('\nCtrl-C ends the demo and deletes everything it made.')
}

interface Sent { status: number, body: string, requestId: string, id: string }

async function send (say: (text?: string) => void, title: string, sandbox: Sandbox, path: string, url: string | undefined): Promise<Sent> {
  say(`${title}:`)
  say(`   curl ${url === undefined ? '--insecure ' : ''}'${url ?? sandbox.origin}${path}'`)
  return await request(url ?? sandbox.origin, path, sandbox.caPem)
}

async function request (origin: string, path: string, ca: string): Promise<Sent> {
  const { request: ask } = origin.startsWith('https:') ? await import('node:https') : await import('node:http')
  return await new Promise((resolve, reject) => {
    ask(new URL(path, origin), { ca, agent: false }, answer => {
      let body = ''
      answer.setEncoding('utf8').on('data', (text: string) => { body += text }).on('end', () => resolve({
        status: answer.statusCode ?? 0,
        body,
        requestId: String(answer.headers['x-request-id'] ?? ''),
        id: String(answer.headers['x-proxy-request-id'] ?? '')
      }))
    }).on('error', reject).end()
  })
}

function countDevices (body: string): number {
  return (JSON.parse(body) as { data: unknown[] }).data.length
}

function describeAuthorization (sandbox: Sandbox): string {
  const { rawHeaders } = lastReceived(sandbox)
  const index = rawHeaders.findIndex(name => name.toLowerCase() === 'authorization')
  const ours = rawHeaders[index + 1] === `Bearer ${sandbox.accessKey}`
  return ours ? 'Bearer ak_… (the key, put there by the proxy)' : 'missing'
}

function lastUrl (sandbox: Sandbox): string {
  return lastReceived(sandbox).url
}

function lastReceived (sandbox: Sandbox): { url: string, rawHeaders: string[] } {
  return sandbox.received.at(-1) ?? { url: '', rawHeaders: [] }
}

/** Command and comment on lines of their own: they are to be copied. */
function nextSteps (url: string, id: string, trail: string): string[] {
  const steps = {
    'any path of the API': `curl '${url}/v3/devices?limit=2&include=total_count'`,
    'the notification channel, in as many terminals as you like': `curl -N '${url}/_proxy/notifications'`,
    'every device, whatever the page size': `curl -s '${url}/_proxy/pages/v3/devices' | wc -l`,
    'what happened': `npx izuma-proxy trail list --trail sqlite:${trail}`,
    'one request, with a text for support': `npx izuma-proxy trail show ${id} --trail sqlite:${trail}`,
    'how it is': `curl '${url}/_proxy/status'`,
    'all of it in a browser': `${url}/_proxy/console/`
  }
  return Object.entries(steps).flatMap(([title, command]) => [`# ${title}`, command, ''])
}
