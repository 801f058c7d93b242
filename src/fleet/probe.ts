import type { RedisAddress } from '../config/kinds.ts'
import { writeAddress } from './address.ts'
import { Connections } from './connections.ts'
import { nameFailure } from './failure.ts'

export interface Probe { where: string, failure: string | null, version: string }

const timeoutMs = 3_000

/** One look at Redis, for `check`: does it answer, and is it new enough? */
export async function probeRedis (address: RedisAddress, caFile: string | undefined): Promise<Probe> {
  const where = writeAddress(address)
  let connections: Connections | undefined
  try {
    connections = new Connections(address, caFile)
    const version = await askVersion(connections)
    const [major = 0, minor = 0] = version.split('.').map(Number)
    return { where, version, failure: major > 6 || (major === 6 && minor >= 2) ? null : `version ${version}, 6.2 is needed` }
  } catch (error) {
    return { where, version: '', failure: nameFailure(error) }
  } finally {
    connections?.close()
  }
}

async function askVersion ({ commands }: Connections): Promise<string> {
  let last: unknown = new Error('connect ETIMEDOUT')
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(last), timeoutMs)
    const settle = (end: () => void) => {
      clearTimeout(timer)
      end()
    }
    commands.once('ready', () => settle(resolve))
    commands.on('error', (error: unknown) => { last = error })
    commands.once('close', () => settle(() => reject(last)))
  })
  return /^redis_version:(\S+)/m.exec(await commands.info('server'))?.[1] ?? '0.0'
}
