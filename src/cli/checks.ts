import { lookup } from 'node:dns/promises'
import { accessSync, constants, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { createServer, isIP } from 'node:net'
import { dirname } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { request } from 'node:https'
import { readAccessKey } from '../access-key/read.ts'
import type { Secret } from '../access-key/secret.ts'
import { regions } from '../config/regions.ts'
import type { Settings } from '../config/table.ts'
import { probeRedis } from '../fleet/probe.ts'
import { classifyFailure } from '../upstream/failures.ts'
import { verifiedTls } from '../upstream/tls-options.ts'
import { parseTeam } from '../team/team-file.ts'

export interface CheckResult {
  name: string
  state: 'ok' | 'warning' | 'failed' | 'skipped'
  /** What was found. No secrets. */
  found: string
  /** What to do, unless it is ok. */
  fix?: string
}

type Report = (result: CheckResult) => void

const timeoutMs = 10_000
/** Signed URLs and JWT keys stop working at a few minutes; a second or two is the Date header's own coarseness. */
const clockToleranceMs = 30_000

export async function runChecks (settings: Settings, environment: Record<string, string | undefined>, report: Report): Promise<void> {
  const origin = new URL(settings.apiHost ?? regions[settings.region])
  const key = await checkKey(settings, environment, report)
  const reachable = settings.httpsProxy === undefined ? await checkDns(origin, report) && await checkTls(origin, settings, report) : skipDirect(report)
  if (reachable && key !== undefined) await checkApi(origin, settings, key, report)
  await checkListener(settings, report)
  checkTeam(settings, report)
  checkTrail(settings, report)
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

function skipDirect (report: Report): boolean {
  report({ name: 'dns', state: 'skipped', found: 'the forward proxy resolves names' })
  report({ name: 'tls', state: 'skipped', found: 'checked through the forward proxy when the first request is sent' })
  return false
}

async function checkDns (origin: URL, report: Report): Promise<boolean> {
  try {
    const addresses = await lookup(origin.hostname.replace(/^\[|\]$/g, ''), { all: true })
    report({ name: 'dns', state: 'ok', found: `${origin.hostname} is ${addresses.map(({ address }) => address).join(', ')}` })
    return true
  } catch (error) {
    report({ name: 'dns', state: 'failed', found: `${origin.hostname}: ${(error as NodeJS.ErrnoException).code}`, fix: 'check the network and the resolver, or IZUMA_API_HOST' })
    return false
  }
}

async function checkTls (origin: URL, settings: Settings, report: Report): Promise<boolean> {
  try {
    const found = await describeTls(origin, settings)
    report({ name: 'tls', state: 'ok', found })
    return true
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? (error as Error).message
    const isTls = classifyFailure(error, false) === 'upstream_tls_failed'
    report({
      name: 'tls',
      state: 'failed',
      found: `${origin.host}: ${code}`,
      fix: isTls ? 'behind a TLS-inspecting firewall set IZUMA_CA_FILE; otherwise this is not the API' : 'a firewall may be in the way; IZUMA_HTTPS_PROXY names a forward proxy'
    })
    return false
  }
}

function readCa ({ caFile }: Settings): string | undefined {
  return caFile === undefined ? undefined : readFileSync(caFile, 'utf8')
}

function describeTls (origin: URL, settings: Settings): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect({ host: origin.hostname, port: Number(origin.port || 443), ...(isIP(origin.hostname) === 0 ? { servername: origin.hostname } : {}), timeout: timeoutMs, ...verifiedTls(readCa(settings)) }, () => {
      const { valid_to: until, issuer } = socket.getPeerCertificate()
      resolve(`${socket.getProtocol()}, certificate by ${issuer.O ?? issuer.CN}, valid until ${until}`)
      socket.end()
    })
    socket.on('error', reject).on('timeout', () => socket.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })))
  })
}

interface Answer { status: number, date: string | undefined, body: string, requestId: string }

function ask (origin: URL, path: string, settings: Settings, key: Secret): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(new URL(path, origin), { timeout: timeoutMs, agent: false, headers: { Authorization: `Bearer ${key.reveal()}` }, ...verifiedTls(readCa(settings)) }, answer => {
      let body = ''
      answer.setEncoding('utf8').on('data', (text: string) => { if (body.length < 65_536) body += text }).on('error', reject).on('end', () =>
        resolve({ status: answer.statusCode ?? 0, date: answer.headers.date, body, requestId: String(answer.headers['x-request-id'] ?? '') }))
    })
    asked.on('error', reject).on('timeout', () => asked.destroy(new Error('no answer in time'))).end()
  })
}

async function checkApi (origin: URL, settings: Settings, key: Secret, report: Report): Promise<void> {
  try {
    const account = await ask(origin, '/v3/accounts/me', settings, key)
    report(describeAccount(account))
    checkClock(account, report)
    if (account.status === 200 && settings.channel !== 'off') report(describeChannel(await ask(origin, '/v2/notification/channel', settings, key)))
  } catch (error) {
    report({ name: 'api', state: 'failed', found: (error as Error).message, fix: 'try again; the cause lies between here and the API' })
  }
}

function describeAccount ({ status, requestId }: Answer): CheckResult {
  const found = `GET /v3/accounts/me answered ${status} (X-Request-ID ${requestId || 'none'})`
  if (status === 200) return { name: 'api', state: 'ok', found: `the key is accepted: ${found}` }
  if (status === 401) return { name: 'api', state: 'failed', found, fix: 'the API does not know this key: it was deleted or is inactive, or belongs to another region' }
  if (status === 403) return { name: 'api', state: 'warning', found, fix: 'the key is known, but may not read its account: fine if its policy is meant to be narrow' }
  return { name: 'api', state: 'failed', found, fix: 'ask support with the request id' }
}

function checkClock ({ date }: Answer, report: Report): void {
  const offsetMs = date === undefined ? Number.NaN : Date.parse(date) - Date.now()
  if (Number.isNaN(offsetMs)) return report({ name: 'clock', state: 'skipped', found: 'the answer had no Date' })
  const found = `${Math.abs(offsetMs) < 1_500 ? 'agrees with' : `is ${Math.abs(Math.round(offsetMs / 1000))} s ${offsetMs > 0 ? 'behind' : 'ahead of'}`} the API's`
  if (Math.abs(offsetMs) <= clockToleranceMs) return report({ name: 'clock', state: 'ok', found })
  report({ name: 'clock', state: 'failed', found, fix: 'set the clock (NTP): certificates and trail times depend on it' })
}

function describeChannel ({ status, body }: Answer): CheckResult {
  if (status === 404) return { name: 'channel', state: 'ok', found: 'no notification channel yet: the proxy will register one when somebody listens' }
  const mechanism = /"delivery_mechanism"\s*:\s*"([A-Z_]+)"/.exec(body)?.[1]
  if (status === 200 && mechanism === 'WEB_SOCKET') return { name: 'channel', state: 'ok', found: 'a WebSocket channel is registered' }
  if (status === 200) return { name: 'channel', state: 'warning', found: `the channel is a ${mechanism ?? 'different'} one`, fix: 'the proxy will not displace it: delete it yourself, or set PROXY_CHANNEL=off' }
  return { name: 'channel', state: 'warning', found: `GET /v2/notification/channel answered ${status}`, fix: 'only access keys have a channel; PROXY_CHANNEL=off turns this off' }
}

async function checkListener ({ listen }: Settings, report: Report): Promise<void> {
  const problem = await new Promise<string>(resolve => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    if ('socketPath' in listen) return resolve(existsSync(dirname(listen.socketPath)) ? '' : 'ENOENT')
    server.listen(listen, () => server.close(() => resolve('')))
  })
  const where = 'socketPath' in listen ? listen.socketPath : `${listen.host}:${listen.port}`
  if (problem === '') return report({ name: 'listener', state: 'ok', found: `${where} is free` })
  report({ name: 'listener', state: problem === 'EADDRINUSE' ? 'warning' : 'failed', found: `${where}: ${problem}`, fix: problem === 'EADDRINUSE' ? 'something listens there, perhaps the proxy itself; PROXY_LISTEN takes another port' : 'choose another PROXY_LISTEN' })
}

function checkTeam ({ teamFile }: Settings, report: Report): void {
  if (teamFile === undefined) return report({ name: 'team', state: 'skipped', found: 'no team file: everyone on this machine is the member local' })
  try {
    const { members } = parseTeam(teamFile, readFileSync(teamFile, 'utf8'))
    report({ name: 'team', state: 'ok', found: `${Object.keys(members).length} members` })
  } catch (error) {
    report({ name: 'team', state: 'failed', found: (error as Error).message, fix: 'correct the file; config/team.schema.json describes it' })
  }
}

function checkTrail ({ trail, trailJournal }: Settings, report: Report): void {
  const folder = trailJournal ?? (trail.kind === 'sqlite' ? dirname(trail.path) : 'data')
  try {
    mkdirSync(folder, { recursive: true })
    accessSync(folder, constants.R_OK | constants.W_OK)
    report({ name: 'trail', state: 'ok', found: `${folder} can be written` })
  } catch (error) {
    report({ name: 'trail', state: 'failed', found: `${folder}: ${(error as NodeJS.ErrnoException).code}`, fix: 'make the folder writable for this user, or set PROXY_TRAIL and PROXY_TRAIL_JOURNAL' })
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
