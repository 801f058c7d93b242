import { readAccessKey } from '../access-key/read.ts'
import type { Secret } from '../access-key/secret.ts'
import type { Settings } from '../config/table.ts'
import { probeRedis } from '../fleet/probe.ts'
import { checkApi, checkWay } from './checks-api.ts'
import type { Report } from './check-result.ts'
import { checkListeners, checkTeam, checkTrail } from './checks-local.ts'

export async function runChecks (settings: Settings, environment: Record<string, string | undefined>, report: Report): Promise<void> {
  const key = await checkKey(settings, environment, report)
  if (await checkWay(settings, environment, report) && key !== undefined) await checkApi(settings, key, report)
  await checkListeners(settings, report)
  checkTeam(settings, report)
  await checkTrail(settings, report)
  await checkFleet(settings, report)
}

async function checkKey (settings: Settings, environment: Record<string, string | undefined>, report: Report): Promise<Secret | undefined> {
  try {
    const { key, warning } = await readAccessKey(settings, environment)
    report({ name: 'key', state: warning === undefined ? 'ok' : 'warning', found: `read, ${key.fingerprint}`, ...(warning === undefined ? {} : { fix: warning }) })
    return key
  } catch (error) {
    report({ name: 'key', state: 'failed', found: (error as Error).message, fix: 'set IZUMA_ACCESS_KEY_FILE to a file with mode 0600 that holds nothing but the key' })
    return undefined
  }
}

async function checkFleet ({ redisUrl, redisCaFile, trail }: Settings, report: Report): Promise<void> {
  if (redisUrl === undefined) return report({ name: 'fleet', state: 'skipped', found: 'no PROXY_REDIS_URL: this instance is alone' })
  const { where, failure, version } = await probeRedis(redisUrl, redisCaFile)
  if (failure !== null) {
    return report({ name: 'fleet', state: 'failed', found: `${where}: ${failure}`, fix: 'start Redis, or correct PROXY_REDIS_URL; until it answers an instance serves alone, with limits of its own' })
  }
  if (trail.kind === 'postgres') return report({ name: 'fleet', state: 'ok', found: `${where} answers, version ${version}` })
  report({ name: 'fleet', state: 'warning', found: `${where} answers, but the trail is a SQLite file`, fix: 'each instance will have a trail of its own; with a PostgreSQL in PROXY_TRAIL they share one' })
}
