import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify, { LogController, type FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import accessKey, { type AccessKeyPluginOptions } from '../../src/access-key/plugin.ts'
import healthPlugin from '../../src/ops/health-plugin.ts'
import type { HealthReport } from '../../src/decorations.ts'
import { createSink, program, testSettings } from './ops-app.ts'
import { waitFor } from './wait-for.ts'

export interface KeyApp {
  app: FastifyInstance
  /** The room's part of `status`. */
  report (): Promise<HealthReport>
  /** Everything it logged, as text and by line. */
  text (): string
  lines (): Record<string, unknown>[]
  /** Waits until the key in use is this one; resolves to the milliseconds it took. */
  until (key: string | undefined): Promise<number>
}

/** A Fastify with the health and the access-key plugin, closed with the test. */
export async function buildKeyApp (t: Test, environment: Record<string, string>, options: Partial<AccessKeyPluginOptions> = {}): Promise<KeyApp> {
  const sink = createSink()
  const app = Fastify({ logger: { level: 'debug', stream: sink.stream }, logController: new LogController({ disableRequestLogging: true }) }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  app.decorateRequest('member')
  app.addHook('onRequest', async request => { request.member = { name: 'ada', role: 'admin' } })
  const settings = testSettings(environment)
  await app.register(healthPlugin, { settings, program, redact: text => text })
  await app.register(accessKey, { settings, environment, ...options })
  await app.ready()
  return {
    app,
    report: async () => (await app.inject('/_proxy/status')).json<{ parts: Record<string, HealthReport> }>().parts['access-key'] as HealthReport,
    text: sink.text,
    lines: sink.lines,
    until: async key => {
      const start = performance.now()
      await waitFor('the key in use', () => app.accessKey.current()?.reveal(), current => current === key)
      return performance.now() - start
    }
  }
}

/** A folder of its own, removed with the test. */
export function makeFolder (t: Test, base = tmpdir()): string {
  const folder = mkdtempSync(join(base, 'izuma-key-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  return folder
}

/** A file that only its owner may read, unless told otherwise. */
export function writeKeyFile (path: string, text: string, mode = 0o600): string {
  writeFileSync(path, text, { mode })
  chmodSync(path, mode)
  return path
}
