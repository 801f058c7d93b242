import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Writable } from 'node:stream'
import Fastify, { LogController, type FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import accessKey from '../../src/access-key/plugin.ts'
import { Redactor } from '../../src/access-key/redact.ts'
import { handleErrors } from '../../src/answers.ts'
import { loadSettings } from '../../src/config/load.ts'
import { proxyError } from '../../src/errors.ts'
import { makeForwarding } from '../../src/forwarding.ts'
import guard, { listenerOptions, serverOptions } from '../../src/guard/plugin.ts'
import drain from '../../src/ops/drain-plugin.ts'
import health from '../../src/ops/health-plugin.ts'
import pages from '../../src/pages/plugin.ts'
import team from '../../src/team/plugin.ts'
import trail from '../../src/trail/plugin.ts'
import type { TrailRecord } from '../../src/trail/record.ts'
import upstream, { mountProxy } from '../../src/upstream/plugin.ts'
import { makeAccessKey } from './proxy.ts'
import { waitFor } from './wait-for.ts'

export interface PagesProxyOptions {
  /** What stands for the API. */
  api: { origin: string, ca: string }
  accessKey?: string
  /** Content of the team file; without it there is no team. */
  team?: unknown
  environment?: Record<string, string>
}

export interface PagesProxy {
  app: FastifyInstance
  url: string
  teamFile: string
  log (): string
  /** The trail's rows, oldest first, once they are as wanted. */
  trail (enough: (rows: TrailRecord[]) => boolean): Promise<TrailRecord[]>
}

/** The rooms of the proxy that a whole list goes through, over an API of the test's own. */
export async function startPagesProxy (t: Test, options: PagesProxyOptions): Promise<PagesProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'izuma-pages-'))
  const teamFile = join(folder, 'team.json')
  writeFileSync(join(folder, 'access-key'), options.accessKey ?? makeAccessKey(), { mode: 0o600 })
  writeFileSync(join(folder, 'ca.pem'), options.api.ca)
  if (options.team !== undefined) writeFileSync(teamFile, JSON.stringify(options.team))
  const settings = loadSettings({
    flags: {},
    dotenv: {},
    environment: {
      IZUMA_API_HOST: options.api.origin,
      IZUMA_CA_FILE: join(folder, 'ca.pem'),
      IZUMA_ACCESS_KEY_FILE: join(folder, 'access-key'),
      PROXY_LISTEN: '127.0.0.1:0',
      PROXY_TRAIL: `sqlite:${join(folder, 'trail.db')}`,
      ...(options.team !== undefined && { PROXY_TEAM_FILE: teamFile }),
      ...options.environment
    }
  })
  let log = ''
  const stream = new Writable({ write (chunk, _encoding, done) { log += String(chunk); done() } })
  const redactor = new Redactor()
  const { redact } = redactor
  const app = Fastify({ ...listenerOptions(settings), http: serverOptions(settings), logger: { stream, level: 'debug' }, logController: new LogController({ disableRequestLogging: true }), forceCloseConnections: false }) as unknown as FastifyInstance
  const hygiene = makeForwarding(settings, app)
  handleErrors(app)
  await app.register(health, { settings, program: { version: 'test', node: '' }, redact })
  await app.register(trail, { settings, redact })
  await app.register(drain)
  await app.register(accessKey, { settings, redactor })
  await app.register(guard, { settings })
  await app.register(team, { settings, stateFolder: folder })
  await app.register(upstream, { settings, forwarding: hygiene })
  await app.register(pages, { hygiene })
  app.all('/_proxy/*', () => { throw proxyError('not_found') })
  await app.register(mountProxy)
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => {
    app.server.closeAllConnections()
    await app.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return { app, url, teamFile, log: () => log, trail: enough => waitFor('the trail', () => readRows(join(folder, 'trail.db')), enough) }
}

function readRows (file: string): TrailRecord[] {
  try {
    const store = new DatabaseSync(file, { readOnly: true })
    try {
      return store.prepare('SELECT * FROM trail ORDER BY id').all() as unknown as TrailRecord[]
    } finally {
      store.close()
    }
  } catch {
    return []
  }
}
