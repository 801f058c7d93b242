import Fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Logger } from 'pino'
import accessKey from '../../../src/access-key/plugin.ts'
import { Redactor } from '../../../src/access-key/redact.ts'
import advice from '../../../src/advice/plugin.ts'
import { handleErrors } from '../../../src/answers.ts'
import { describeServer } from '../../../src/app.ts'
import channel from '../../../src/channel/plugin.ts'
import { loadSettings } from '../../../src/config/load.ts'
import fleet from '../../../src/fleet/plugin.ts'
import { makeForwarding } from '../../../src/forwarding.ts'
import guard from '../../../src/guard/plugin.ts'
import { startListening } from '../../../src/listener.ts'
import drain from '../../../src/ops/drain-plugin.ts'
import health from '../../../src/ops/health-plugin.ts'
import { createLogger } from '../../../src/ops/log.ts'
import metrics from '../../../src/ops/metrics-plugin.ts'
import { logRequest } from '../../../src/ops/request-log.ts'
import tracing from '../../../src/ops/tracing-plugin.ts'
import upkeep from '../../../src/ops/upkeep-plugin.ts'
import pages from '../../../src/pages/plugin.ts'
import team from '../../../src/team/plugin.ts'
import type { TrailService } from '../../../src/trail/record.ts'
import { explain } from '../../../src/trail/explanations/explain.ts'
import trail from '../../../src/trail/plugin.ts'
import upstream, { mountProxy } from '../../../src/upstream/plugin.ts'

// node rooms-server.ts ROOM FLAG VALUE …: the proxy as app.ts composes it, less one room, to see what that one costs.
// A room that others build on is replaced by the least that lets them work.

const [, , without = '', ...words] = process.argv
const flags = Object.fromEntries(Array.from({ length: words.length / 2 }, (_, index) => [words[2 * index] as string, words[2 * index + 1] as string]))
if (without === 'team') delete flags['--team-file']
const settings = loadSettings({ flags, environment: {}, dotenv: {} })
const program = { version: '0.0.0', node: process.version }
const redactor = new Redactor()
const logger = await createLogger({ level: settings.logLevel, pretty: false, stream: process.stdout, redact: redactor.redact })
const app: FastifyInstance = Fastify({ ...describeServer(settings), loggerInstance: logger as FastifyBaseLogger })

handleErrors(app)
await app.register(health, { settings, program, redact: redactor.redact })
await app.register(trail, { settings, redact: redactor.redact })
if (without === 'trail') forgetAll(app.trail)
if (without !== 'log line') app.trail.onClosed(entry => logRequest(app.log as Logger, entry))
await app.register(tracing, { settings, program, redact: redactor.redact })
await app.register(drain)
await app.register(upkeep, { settings })
await app.register(accessKey, { settings, environment: {}, redactor })
await app.register(guard, { settings })
await app.register(fleet, { settings })
await app.register(team, { settings })
await app.register(without === 'advice' ? fp(noAdvice, { name: 'advice' }) : advice, { settings, explain })
const forwarding = makeForwarding(settings, app)
if (without === 'scrubbing') Object.assign(forwarding, { bodyTransform: () => undefined })
await app.register(upstream, { settings, environment: {}, forwarding })
if (without !== 'metrics') await app.register(metrics, { program })
if (without !== 'channel') await app.register(channel, { settings, hygiene: forwarding })
if (without !== 'pages') await app.register(pages, { hygiene: forwarding })
await app.register(mountProxy)
await startListening(app, settings)
process.once('SIGTERM', () => { void app.close().then(() => process.exit()) })

/** Entries are opened and closed, and nothing of them is written. */
function forgetAll (service: TrailService): void {
  Object.assign(service, { record: (entry: { recorded: boolean }, done: () => void) => { entry.recorded = true; done() } })
  service.close = entry => { (service as unknown as { drop (entry: unknown): void }).drop(entry) }
}

async function noAdvice (instance: FastifyInstance): Promise<void> {
  instance.decorate('advice', { header: () => undefined })
  instance.decorateRequest('advice', null as never)
}
