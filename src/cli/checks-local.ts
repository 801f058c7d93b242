import { accessSync, constants, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import type { ListenAddress } from '../config/kinds.ts'
import type { Settings } from '../config/table.ts'
import { tlsServerOptions } from '../listener.ts'
import { writeAddress } from '../ops/show-settings.ts'
import { parseTeam } from '../team/team-file.ts'
import { findPlaces } from '../trail/places.ts'
import { openReader, StoreMissingError } from '../trail/query/open.ts'
import { parseListQuery } from '../trail/query/parse.ts'
import type { StoreSettings } from '../trail/store/connect.ts'
import { describeCause, type CheckResult, type Report } from './check-result.ts'

/** Certificates, and whether the addresses are free. */
export async function checkListeners (settings: Settings, report: Report): Promise<void> {
  try {
    tlsServerOptions(settings)
  } catch (error) {
    return report({ name: 'listener', state: 'failed', found: (error as Error).message, fix: 'name PEM files that this user may read; the key has to be that of the certificate' })
  }
  for (const [setting, address] of [['PROXY_LISTEN', settings.listen], ['PROXY_HEALTH_LISTEN', settings.healthListen]] as const) {
    if (address !== undefined) report(describeAddress(setting, writeAddress(address), await tryListening(address)))
  }
}

/** `''` if it can be listened on, else the code of the error. */
function tryListening (address: ListenAddress): Promise<string> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    if ('socketPath' in address) return resolve(existsSync(dirname(address.socketPath)) ? '' : 'ENOENT')
    server.listen(address, () => server.close(() => resolve('')))
  })
}

function describeAddress (setting: string, where: string, problem: string): CheckResult {
  if (problem === '') return { name: 'listener', state: 'ok', found: `${where} is free` }
  if (problem === 'EADDRINUSE') return { name: 'listener', state: 'warning', found: `${where}: ${problem}`, fix: `something listens there, perhaps the proxy itself; ${setting} takes another port` }
  return { name: 'listener', state: 'failed', found: `${where}: ${problem}`, fix: `choose another ${setting}` }
}

export function checkTeam ({ teamFile }: Settings, report: Report): void {
  if (teamFile === undefined) return report({ name: 'team', state: 'skipped', found: 'no team file: everyone on this machine is the member local' })
  try {
    const { members } = parseTeam(teamFile, readFileSync(teamFile, 'utf8'))
    report({ name: 'team', state: 'ok', found: `${Object.keys(members).length} members` })
  } catch (error) {
    report({ name: 'team', state: 'failed', found: (error as Error).message, fix: 'correct the file; config/team.schema.json describes it' })
  }
}

export async function checkTrail (settings: Settings, report: Report): Promise<void> {
  const { folder, store } = findPlaces(settings)
  try {
    mkdirSync(folder, { recursive: true })
    accessSync(folder, constants.R_OK | constants.W_OK)
  } catch (error) {
    return report({ name: 'trail', state: 'failed', found: `${folder}: ${(error as NodeJS.ErrnoException).code}`, fix: 'make the folder writable for this user, or set PROXY_TRAIL and PROXY_TRAIL_JOURNAL' })
  }
  const problem = await tryStore(store)
  if (problem === '') return report({ name: 'trail', state: 'ok', found: `${folder} can be written, the ${store.kind} store can be read` })
  const fix = store.kind === 'sqlite' ? 'the proxy moves a damaged store aside and begins anew; restore it from a backup first, if there is one' : 'see that the database is there and takes this user; until then the journal keeps the records'
  report({ name: 'trail', state: store.kind === 'sqlite' ? 'failed' : 'warning', found: `the ${store.kind} store: ${problem}`, fix })
}

/** `''` if it can be read, or isn't there yet: the proxy makes it. */
async function tryStore (store: StoreSettings): Promise<string> {
  try {
    const reader = await openReader(store)
    try {
      await reader.list(parseListQuery('limit=2'))
      return ''
    } finally {
      await reader.close()
    }
  } catch (error) {
    return error instanceof StoreMissingError || isWithoutTables(error) ? '' : describeCause(error)
  }
}

/** An empty database that the proxy has still to furnish. */
function isWithoutTables (error: unknown): boolean {
  return error instanceof Error && /no such table|relation "trail" does not exist/.test(error.message)
}
