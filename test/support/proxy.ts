import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { DatabaseSync } from 'node:sqlite'
import type { Test } from 'tap'
import { buildProxy, listen, type Proxy } from '../../src/app.ts'
import { loadSettings } from '../../src/config/load.ts'
import type { TrailRecord } from '../../src/trail/record.ts'
import { waitFor } from './wait-for.ts'

export interface StartOptions {
  /** What stands for the API. */
  api: { origin: string, ca: string }
  accessKey: string
  /** By flag: `{ '--channel': 'off' }`. */
  flags?: Record<string, string>
  /** By variable, for what has no flag. */
  environment?: Record<string, string>
}

export interface StartedProxy extends Proxy {
  url: string
  port: number
  folder: string
  accessKeyFile: string
  /** Everything the proxy logged. */
  log (): string
  /** The trail's rows, oldest first, once they are as wanted. */
  trail (enough: (rows: TrailRecord[]) => boolean): Promise<TrailRecord[]>
}

/** A key of the real shape that nobody ever had. */
export function makeAccessKey (letter = 'S'): string {
  return ['ak', '_1', 'A'.repeat(43), '0'.repeat(32), letter.repeat(32)].join('')
}

/** The whole proxy in front of an API of the test's own, in a folder of its own, taken down with the test. */
export async function startProxy (t: Test, { api, accessKey, flags = {}, environment = {} }: StartOptions): Promise<StartedProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'izuma-proxy-test-'))
  const accessKeyFile = join(folder, 'access-key')
  writeFileSync(accessKeyFile, accessKey, { mode: 0o600 })
  writeFileSync(join(folder, 'ca.pem'), api.ca)
  const settings = loadSettings({
    flags: {
      '--listen': '127.0.0.1:0',
      '--api-host': api.origin,
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
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    ...proxy,
    url,
    port: Number(new URL(url).port),
    folder,
    accessKeyFile,
    log: () => Buffer.concat(lines).toString('utf8'),
    trail: enough => waitFor('the trail', () => readRows(join(folder, 'trail.db')), enough)
  }
}

/** No rows while the store isn't there yet. */
function readRows (file: string): TrailRecord[] {
  if (!existsSync(file)) return []
  const store = new DatabaseSync(file, { readOnly: true })
  try {
    return store.prepare('SELECT * FROM trail ORDER BY seq').all() as unknown as TrailRecord[]
  } catch {
    return []
  } finally {
    store.close()
  }
}
