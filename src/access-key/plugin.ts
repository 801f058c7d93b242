import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { HealthReport } from '../decorations.ts'
import { chooseSource, type KeySettings } from './choose-source.ts'
import { KeyKeeper, type KeyEvent } from './keeper.ts'
import { describeFault } from './read.ts'
import { Redactor } from './redact.ts'
import type { KeySource } from './source.ts'

/** A slow command must not keep the proxy from starting: it answers `access_key_unavailable` until the key is there. */
const longestStartMs = 3000

export interface AccessKeyPluginOptions {
  settings: KeySettings
  /** For the command; the key itself is taken out of it. */
  environment?: Record<string, string | undefined>
  /** Is told of every key, so that it finds them in whatever the proxy writes. */
  redactor?: Redactor
}

async function plugAccessKey (app: FastifyInstance, { settings, environment = {}, redactor = new Redactor() }: AccessKeyPluginOptions): Promise<void> {
  const { log } = app
  const source = chooseSource({
    settings,
    environment,
    onErrorOutput: (text, succeeded) => { log[succeeded ? 'debug' : 'warn']({ source: source.kind, said: redactor.redact(text) }, 'the access key command wrote to its standard error') }
  })
  const keeper = new KeyKeeper(source, event => {
    if ('key' in event) redactor.add(event.key)
    logEvent(log, source, event)
  })
  app.decorate('accessKey', keeper)
  app.addHook('onClose', async () => { keeper.close() })
  app.health.register('access-key', () => reportHealth(keeper, source, performance.now()))
  if (source.warning !== undefined) log.warn({ source: source.kind }, source.warning)
  await startWithin(keeper, longestStartMs)
}

async function startWithin (keeper: KeyKeeper, limitMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, limitMs)
  await Promise.race([keeper.start(), promise])
  clearTimeout(timer)
}

const messages: Record<Exclude<KeyEvent['type'], 'failed'>, [level: 'info' | 'warn' | 'error', message: string]> = {
  taken: ['info', 'access key read'],
  proven: ['info', 'the API accepts the access key'],
  'fell-back': ['error', 'the API refuses the new access key; the old one is used again'],
  'tried-again': ['warn', 'the API refuses the old access key too; the new one is tried once more'],
  refused: ['error', 'the API refuses the access key']
}

/** Fingerprints only. */
function logEvent (log: FastifyBaseLogger, source: KeySource, event: KeyEvent): void {
  if (event.type === 'failed') {
    log.error({ source: source.kind, reason: describeFault(source.name, event.fault) }, 'the access key cannot be read')
    return
  }
  const [level, message] = messages[event.type]
  log[level]({ source: source.kind, fingerprint: event.key.fingerprint, ...(event.other && { replaces: event.other.fingerprint }) }, message)
}

function reportHealth (keeper: KeyKeeper, source: KeySource, now: number): HealthReport {
  const key = keeper.current()
  const { rotation, fault } = keeper
  const nextStep = adviseNextStep(keeper)
  return {
    state: key === undefined ? 'failed' : nextStep === undefined ? 'ok' : 'degraded',
    ready: key !== undefined,
    details: {
      source: source.kind,
      fingerprint: key?.fingerprint ?? null,
      age_seconds: key === undefined ? null : Math.round((now - keeper.takenAt) / 1000),
      proven: rotation.proven,
      ...(rotation.rejected && { rejected_fingerprint: rotation.rejected.fingerprint }),
      ...(fault && { reason: `the key's source ${fault.message}` }),
      ...(nextStep !== undefined && { next_step: nextStep })
    }
  }
}

function adviseNextStep ({ rotation, fault }: KeyKeeper): string | undefined {
  if (fault !== undefined) return fault.nextStep
  if (rotation.rejected !== undefined) return 'the API refused the new key, so the old one is in use: see in the portal whether the new one is active, put a right one in its place, or send SIGHUP to try it again'
  if (rotation.doubted) return 'the API answers 401: see in the portal whether the key is active and belongs to this region, and put a right one in its place'
  return undefined
}

export default fastifyPlugin(plugAccessKey, { name: 'access-key', dependencies: ['health'] })
