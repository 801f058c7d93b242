import { Writable } from 'node:stream'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Member } from '../../src/decorations.ts'
import { loadSettings } from '../../src/config/load.ts'
import type { Settings } from '../../src/config/table.ts'
import healthPlugin from '../../src/ops/health-plugin.ts'

export const program = { version: '0.0.0-test', node: '26.0.0' }

export function testSettings (environment: Record<string, string> = {}): Settings {
  return loadSettings({ flags: {}, environment, dotenv: {} })
}

interface OpsAppOptions {
  environment?: Record<string, string>
  role?: Member['role']
  redact?: (text: string) => string
  https?: { cert: string, key: string }
}

/** A Fastify with the health plugin and a member on each request, as the team room would set it. */
export async function buildOpsApp ({ environment = {}, role = 'admin', redact = text => text, https }: OpsAppOptions = {}): Promise<FastifyInstance> {
  const app = Fastify({ forceCloseConnections: false, https: https ?? null }) as unknown as FastifyInstance
  app.decorateRequest('member')
  app.addHook('onRequest', async request => { request.member = { name: 'ada', role } })
  await app.register(healthPlugin, { settings: testSettings(environment), program, redact })
  return app
}

/** Lines of the log are written at the end of a turn of the event loop. */
export function endOfTurn (): Promise<void> {
  return new Promise(resolve => { setImmediate(resolve) })
}

/** Collects what is written to it. */
export function createSink () {
  let text = ''
  const stream = new Writable({ write (chunk, _encoding, done) { text += String(chunk); done() } })
  return { stream, text: () => text, lines: () => text.split('\n').filter(line => line !== '').map(line => JSON.parse(line) as Record<string, unknown>) }
}
