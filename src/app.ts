import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type { Logger } from 'pino'
import accessKey from './access-key/plugin.ts'
import { Redactor } from './access-key/redact.ts'
import advice from './advice/plugin.ts'
import { handleErrors } from './answers.ts'
import channel from './channel/plugin.ts'
import type { Settings } from './config/table.ts'
import consolePage from './console/plugin.ts'
import { proxyError } from './errors.ts'
import fleet from './fleet/plugin.ts'
import { makeForwarding } from './forwarding.ts'
import guard, { listenerOptions, serverOptions } from './guard/plugin.ts'
import { startListening, tlsServerOptions } from './listener.ts'
import drain from './ops/drain-plugin.ts'
import health from './ops/health-plugin.ts'
import { createLogger } from './ops/log.ts'
import metrics from './ops/metrics-plugin.ts'
import { logRequest } from './ops/request-log.ts'
import { showSettings } from './ops/show-settings.ts'
import tracing from './ops/tracing-plugin.ts'
import upkeep from './ops/upkeep-plugin.ts'
import pages from './pages/plugin.ts'
import team from './team/plugin.ts'
import trailApi from './trail/api.ts'
import { explain } from './trail/explanations/explain.ts'
import { describeContext } from './trail/bundle-context.ts'
import trail from './trail/plugin.ts'
import upstream, { mountProxy } from './upstream/plugin.ts'

export interface ProxyOptions {
  settings: Settings
  environment: Record<string, string | undefined>
  /** Where log lines go. */
  stdout: NodeJS.WritableStream & { isTTY?: boolean }
  /** Of this program, and of Node.js. */
  program: { version: string, node: string }
}

export interface Proxy {
  app: FastifyInstance
  settings: Settings
  /** SIGHUP: reads key and team file anew. */
  reload (): void
  /** Resolves at the first signal, or when somebody asked for the end by `POST /_proxy/quit`. */
  stopRequested (interrupted: AbortSignal): Promise<void>
}

/** The composition root: one Fastify instance, the rooms plugged in in the order a request meets them. */
export async function buildProxy (options: ProxyOptions): Promise<Proxy> {
  const { settings, stdout } = options
  const redactor = new Redactor()
  const isTerminal = stdout.isTTY === true
  const logger = await createLogger({ level: settings.logLevel, pretty: settings.logPretty ?? isTerminal, color: isTerminal, stream: stdout as never, redact: redactor.redact })
  const app = Fastify({ ...describeServer(settings), loggerInstance: logger as FastifyBaseLogger })
  try {
    await furnish(app, options, redactor)
  } catch (error) {
    await app.close()
    throw error
  }
  return { app, settings, reload: () => reload(app), stopRequested: interrupted => waitForStop(app, interrupted) }
}

async function furnish (app: FastifyInstance, { settings, environment, program }: ProxyOptions, redactor: Redactor): Promise<void> {
  const { redact } = redactor
  handleErrors(app)
  await app.register(health, { settings, program, redact })
  await app.register(trail, { settings, redact, context: describeContext(settings, program, showSettings(settings)) })
  app.trail.onClosed(entry => logRequest(app.log as Logger, entry))
  await app.register(tracing, { settings, program, redact })
  await app.register(drain)
  await app.register(upkeep, { settings })
  await app.register(accessKey, { settings, environment, redactor })
  await app.register(guard, { settings })
  await app.register(fleet, { settings, keyFingerprint: () => app.accessKey.current()?.fingerprint })
  await app.register(team, { settings })
  await app.register(advice, { settings, explain })
  const forwarding = makeForwarding(settings, app)
  await app.register(upstream, { settings, environment, forwarding })
  await app.register(metrics, { program })
  await app.register(channel, { settings, hygiene: forwarding })
  await app.register(pages, { hygiene: forwarding })
  await app.register(trailApi, { settings })
  await app.register(consolePage)
  for (const path of ['/_proxy', '/_proxy/*']) app.all(path, () => { throw proxyError('not_found') })
  await app.register(mountProxy)
}

export async function listen ({ app, settings }: Proxy): Promise<{ url: string }> {
  return { url: await startListening(app, settings) }
}

/** What Fastify is made with. */
export function describeServer (settings: Settings): FastifyServerOptions {
  const tls = tlsServerOptions(settings)
  const node = serverOptions(settings)
  return {
    ...listenerOptions(settings),
    ...(tls === undefined ? { http: node } : { https: { ...node, ...tls } }),
    logController: new LogController({ disableRequestLogging: true }),
    // One logger for all requests: the lines that need an id name it, and a child costs more than the line.
    childLoggerFactory: logger => logger,
    // The trail makes the id.
    genReqId: () => '',
    requestIdHeader: false,
    forceCloseConnections: false
  } as FastifyServerOptions
}

function reload (app: FastifyInstance): void {
  app.accessKey.reload()
  app.team.reload()
}

function waitForStop (app: FastifyInstance, interrupted: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (interrupted.aborted) return resolve()
    interrupted.addEventListener('abort', () => resolve(), { once: true })
    app.health.onQuit(resolve)
  })
}
