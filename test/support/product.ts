import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { DatabaseSync } from 'node:sqlite'
import type { Test } from 'tap'
import { buildProxy, listen, type Proxy } from '../../src/app.ts'
import { loadSettings } from '../../src/config/load.ts'
import { startSandbox, type Sandbox, type SandboxOptions } from '../../src/sandbox/index.ts'
import type { TrailRecord } from '../../src/trail/record.ts'
import { waitFor } from './wait-for.ts'

export interface ProductOptions {
  /** By flag: `{ '--channel': 'off' }`. */
  flags?: Record<string, string>
  /** By variable, for what has no flag. */
  environment?: Record<string, string>
  sandbox?: SandboxOptions
  /** An API host in place of the sandbox: what a test made itself, with its CA. */
  api?: { origin: string, ca: string }
  accessKey?: string
}

export interface Product extends Proxy {
  url: string
  port: number
  folder: string
  sandbox: Sandbox
  accessKeyFile: string
  /** Everything the proxy logged. */
  log (): string
  /** The trail's rows, oldest first, once `enough` is satisfied by them. */
  trail (enough: (rows: TrailRecord[]) => boolean): Promise<TrailRecord[]>
}

/** The whole product over the sandbox, in a folder of its own, taken down with the test. */
export async function startProduct (t: Test, { flags = {}, environment = {}, sandbox: sandboxOptions = {}, api, accessKey }: ProductOptions = {}): Promise<Product> {
  const folder = mkdtempSync(join(tmpdir(), 'izuma-proxy-test-'))
  const sandbox = await startSandbox({ devices: 20, ...sandboxOptions })
  const accessKeyFile = join(folder, 'access-key')
  writeFileSync(accessKeyFile, accessKey ?? sandbox.accessKey, { mode: 0o600 })
  writeFileSync(join(folder, 'ca.pem'), api?.ca ?? sandbox.caPem)
  const settings = loadSettings({
    flags: {
      '--listen': '127.0.0.1:0',
      '--api-host': api?.origin ?? sandbox.origin,
      '--ca-file': join(folder, 'ca.pem'),
      '--access-key-file': accessKeyFile,
      '--trail': `sqlite:${join(folder, 'trail.db')}`,
      '--log-level': 'debug',
      '--log-pretty': 'false',
      ...flags
    },
    environment,
    dotenv: {}
  })
  const lines: Buffer[] = []
  const stdout = new PassThrough().on('data', (chunk: Buffer) => lines.push(chunk))
  const proxy = await buildProxy({ settings, environment, stdout, program: { version: '0.0.0-test', node: process.version } })
  const { url } = await listen(proxy)
  t.teardown(async () => {
    await proxy.app.close()
    await sandbox.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    ...proxy,
    url,
    port: Number(new URL(url).port),
    folder,
    sandbox,
    accessKeyFile,
    log: () => Buffer.concat(lines).toString('utf8'),
    trail: enough => waitFor('the trail', () => readRows(join(folder, 'trail.db')), enough)
  }
}

function readRows (file: string): TrailRecord[] {
  const store = new DatabaseSync(file, { readOnly: true })
  try {
    return store.prepare('SELECT * FROM trail ORDER BY seq').all() as unknown as TrailRecord[]
  } catch {
    return []
  } finally {
    store.close()
  }
}
