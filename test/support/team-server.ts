import Fastify, { LogController, type FastifyInstance, type FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { loadSettings } from '../../src/config/load.ts'
import type { HealthReport } from '../../src/decorations.ts'
import { catalogue, errorBody, isProxyError } from '../../src/errors.ts'
import type { Secret } from '../../src/access-key/secret.ts'
import fleet from '../../src/fleet/plugin.ts'
import team from '../../src/team/plugin.ts'
import { createToken, digestToken } from '../../src/team/token.ts'
import type { OpenEntry } from '../../src/trail/record.ts'

export interface TeamServer {
  app: FastifyInstance
  url: string
  folder: string
  teamFile: string
  /** Closed entries, oldest first. */
  entries: OpenEntry[]
  /** Parsed log lines. */
  log: Array<Record<string, unknown>>
  health (): HealthReport | undefined
  writeTeam (team: unknown): void
}

export interface TeamServerOptions {
  /** Content of the team file; without it there is no team. */
  team?: unknown
  settings?: Record<string, string>
  /** Answers for what is let in. Default: who it was. */
  answer? (request: FastifyRequest): Promise<unknown>
  /** Counts as sent to the API. Default true. */
  sends?: boolean
  https?: object
  /** Access key of the fleet that `PROXY_REDIS_URL` makes it part of. */
  accessKey?: Secret
  /** Folder of an earlier server, to start again in. */
  folder?: string
}

/** A real server with the room `team` in it, between the narrowest rooms that could stand before and behind it. */
export async function startTeamServer (t: Test, options: TeamServerOptions = {}): Promise<TeamServer> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'team-'))
  const teamFile = join(folder, 'team.json')
  if (options.team !== undefined) writeFileSync(teamFile, typeof options.team === 'string' ? options.team : JSON.stringify(options.team))
  const flags: Record<string, string> = { '--trail': `sqlite:${folder}/trail.db`, ...options.settings }
  if (options.team !== undefined) flags['--team-file'] = teamFile
  const settings = loadSettings({ flags: {}, environment: toEnvironment(flags), dotenv: {} })
  const log: TeamServer['log'] = []
  const app = Fastify({ logger: { level: 'info', stream: { write: line => { log.push(JSON.parse(line) as Record<string, unknown>) } } }, forceCloseConnections: true, logController: new LogController({ disableRequestLogging: true }), ...(options.https && { https: options.https }) }) as unknown as FastifyInstance
  const entries: OpenEntry[] = []
  const reports = new Map<string, () => HealthReport>()
  app.register(stubRooms(entries, reports, options.accessKey))
  app.register(fleet, { settings })
  app.register(team, { settings })
  app.setErrorHandler((error, request, reply) => {
    if (!isProxyError(error)) throw error
    request.entry.error_type = error.type
    if (error.retryAfter !== undefined) reply.header('retry-after', String(error.retryAfter))
    return reply.code(catalogue[error.type].code).send(errorBody(error, request.entry.id))
  })
  app.all('/*', async request => {
    request.entry.attempts = options.sends === false ? 0 : 1
    return await options.answer?.(request) ?? { member: request.member, decision: request.entry.policy_decision }
  })
  t.teardown(async () => {
    await app.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    app,
    url,
    folder,
    teamFile,
    entries,
    log,
    health: () => reports.get('team')?.(),
    // By rename, as every careful editor does it.
    writeTeam (team) {
      writeFileSync(teamFile + '.new', typeof team === 'string' ? team : JSON.stringify(team))
      renameSync(teamFile + '.new', teamFile)
    }
  }
}

/** A token and what the team file holds of it. */
export function makeToken (more: Record<string, unknown> = {}): { token: string, entry: Record<string, unknown>, headers: { authorization: string } } {
  const token = createToken()
  return { token, entry: { sha256: digestToken(token), ...more }, headers: { authorization: `Bearer ${token}` } }
}

function toEnvironment (flags: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(flags).map(([flag, value]) => [(flag.startsWith('--') ? 'PROXY_' + flag.slice(2).toUpperCase().replaceAll('-', '_') : flag), value]))
}

function stubRooms (entries: OpenEntry[], reports: Map<string, () => HealthReport>, accessKey: Secret | undefined) {
  const listeners: Array<(entry: OpenEntry) => void> = []
  const health = fastifyPlugin(async app => {
    app.decorate('health', { draining: false, register: (name, report) => { reports.set(name, report) } } as FastifyInstance['health'])
  }, { name: 'health' })
  const trail = fastifyPlugin(async app => {
    app.decorateRequest('entry', null as never)
    app.decorate('trail', { onClosed: listener => { listeners.push(listener) } } as FastifyInstance['trail'])
    app.addHook('onRequest', (request, reply, done) => {
      request.entry = { id: String(entries.length), member: '', policy_decision: '', attempts: 0, error_type: null } as OpenEntry
      reply.raw.once('close', () => {
        request.entry.status = reply.raw.headersSent ? reply.raw.statusCode : null
        entries.push(request.entry)
        for (const listener of listeners) listener(request.entry)
      })
      done()
    })
  }, { name: 'trail' })
  const guard = fastifyPlugin(async app => {
    app.decorateRequest('target', null as never)
    app.addHook('onRequest', (request, _reply, done) => {
      const [path = '/', query = ''] = request.raw.url?.split('?') ?? []
      request.target = { forward: request.raw.url ?? '/', path, query, canonicalPath: path.replace(/\/+/g, '/'), notes: [] }
      done()
    })
  }, { name: 'guard' })
  return fastifyPlugin(async app => {
    app.decorate('accessKey', { current: () => accessKey } as FastifyInstance['accessKey'])
    await app.register(health)
    await app.register(trail)
    await app.register(guard)
  })
}
