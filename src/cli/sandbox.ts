import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { startSandbox } from '../sandbox/index.ts'
import type { Sandbox } from '../sandbox/index.ts'
import type { Command, Invocation, OptionValue } from './command.ts'
import { UsageError } from './command.ts'

export const command: Command = {
  name: 'sandbox',
  summary: 'a stand-in for the API on this machine, with a key and devices of its own',
  help: `
Listens on 127.0.0.1 over TLS, behaves as the API does, and prints the command that starts the proxy against it.
Runs until Ctrl-C. What it holds is gone then, but for the files that were asked for.

  izuma-proxy sandbox
  izuma-proxy sandbox --port 8443 --devices 100000 --ca-file sandbox-ca.pem --access-key-file sandbox-key

  --port             8443, say; default any free one
  --devices          size of the fleet, up to 1,000,000; default 3000
  --seed             another number, another fleet; default 1
  --quiet            the devices do nothing of their own accord
  --latency          milliseconds before every answer
  --ca-file          where to write the root certificate to trust
  --access-key-file  where to write the access key (mode 0600); a file that is there already keeps its key, and the sandbox takes it
  --json             print one JSON object instead of text

It misbehaves on demand, e.g. answers the next three requests with 503:

  curl -k https://127.0.0.1:8443/_sandbox/misbehave -H 'Content-Type: application/json' -d '{"status":503,"headers":{"Retry-After":"1"},"count":3}'
  curl -k https://127.0.0.1:8443/_sandbox/misbehave                what is in force, and the names of all faults
  curl -k -X DELETE https://127.0.0.1:8443/_sandbox/misbehave      and all is well again`,
  options: {
    port: { type: 'string' },
    devices: { type: 'string' },
    seed: { type: 'string' },
    latency: { type: 'string' },
    'ca-file': { type: 'string' },
    'access-key-file': { type: 'string' },
    quiet: { type: 'boolean' },
    json: { type: 'boolean' }
  },
  takesSettings: false,
  async run (invocation) {
    const folder = await mkdtemp(join(tmpdir(), 'izuma-proxy-sandbox-'))
    try {
      return await runSandbox(invocation, folder)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
}

async function runSandbox ({ options, terminal }: Invocation, folder: string): Promise<number> {
  const files = {
    ca: pathOf(options['ca-file'], terminal.cwd, join(folder, 'ca.pem')),
    accessKey: pathOf(options['access-key-file'], terminal.cwd, join(folder, 'access-key'))
  }
  await checkReplaceable(files.ca)
  const kept = await readKept(files.accessKey)
  const sandbox = await startSandbox({
    port: readNumber(options, 'port', 0, 65_535),
    devices: readNumber(options, 'devices', 3000, 1_000_000),
    seed: readNumber(options, 'seed', 1, 0xffffffff),
    latencyMs: readNumber(options, 'latency', 0, 600_000),
    quiet: options['quiet'] === true,
    keepReceived: 0,
    ...kept === undefined ? {} : { accessKeys: [kept] }
  })
  try {
    await writeFile(files.ca, sandbox.caPem)
    if (kept === undefined) await writeFile(files.accessKey, sandbox.accessKey + '\n', { mode: 0o600, flag: 'wx' })
    terminal.stdout.write(options['json'] === true ? renderJson(sandbox, files) : renderText(sandbox, files))
    await untilAborted(terminal.interrupted)
    return 0
  } finally {
    await sandbox.close()
  }
}

interface Files { ca: string, accessKey: string }

function pathOf (value: OptionValue, cwd: string, otherwise: string): string {
  return typeof value === 'string' ? resolve(cwd, value) : otherwise
}

function readNumber (options: Invocation['options'], name: string, otherwise: number, max: number): number {
  const text = String(options[name] ?? otherwise)
  const value = Number(text)
  if (!/^\d+$/.test(text) || value > max) throw new UsageError(`--${name} ${text}: expected a whole number up to ${max}`)
  return value
}

/** Somebody's own file of roots must not be lost: only what an earlier sandbox wrote is overwritten. */
async function checkReplaceable (path: string): Promise<void> {
  const text = await readIfThere(path)
  if (text === undefined || isOurs(text)) return
  throw new UsageError(`--ca-file ${path}: the file exists and is not of a sandbox. Name another one.`)
}

function isOurs (pem: string): boolean {
  try {
    return new X509Certificate(pem).subject === 'CN=izuma-proxy sandbox root'
  } catch {
    return false
  }
}

/** The key of a file that is there already. It is never overwritten: it could be a real one. */
async function readKept (path: string): Promise<string | undefined> {
  const text = (await readIfThere(path))?.trim()
  if (text === '' || /\s/.test(text ?? '')) throw new UsageError(`--access-key-file ${path}: the file exists and does not hold one key. Name another one.`)
  return text
}

async function readIfThere (path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new UsageError(`${path}: ${(error as Error).message}`)
  }
}

function startCommand (sandbox: Sandbox, files: Files): string {
  return `npx izuma-proxy start --api-host ${sandbox.origin} --ca-file ${quote(files.ca)} --access-key-file ${quote(files.accessKey)}`
}

function quote (path: string): string {
  return /^[\w./@+-]+$/.test(path) ? path : `'${path.replaceAll('\'', '\'\\\'\'')}'`
}

function renderJson (sandbox: Sandbox, files: Files): string {
  const facts = { origin: sandbox.origin, devices: sandbox.devices.count, ca_file: files.ca, access_key_file: files.accessKey, start: startCommand(sandbox, files) }
  return JSON.stringify(facts) + '\n'
}

function renderText (sandbox: Sandbox, files: Files): string {
  return `The sandbox listens on ${sandbox.origin} with ${sandbox.devices.count} devices.

  root certificate  ${files.ca}
  access key        ${files.accessKey}

Start the proxy against it, in another terminal:

  ${startCommand(sandbox, files)}

Ctrl-C ends it.
`
}

async function untilAborted (signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}
