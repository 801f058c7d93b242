import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import type { AccessKeyService, Secret } from '../access-key/secret.ts'
import { regions } from '../config/regions.ts'
import type { Settings } from '../config/table.ts'
import { openConnections, type Connections } from '../upstream/connections.ts'
import { classifyFailure } from '../upstream/failures.ts'
import { findIgnoredProxy } from '../upstream/ignored-proxy.ts'
import { makeSend } from '../upstream/service.ts'
import { verifiedTls } from '../upstream/tls-options.ts'
import { describeCause, type CheckResult, type Report } from './check-result.ts'

const timeoutMs = 10_000
const maxAnswerHeadBytes = 16 * 1024
/** Signed URLs and JWT keys stop working at a few minutes; a second or two is the Date header's own coarseness. */
const clockToleranceMs = 30_000

/** Whether a request could get there. */
export async function checkWay (settings: Settings, environment: Record<string, string | undefined>, report: Report): Promise<boolean> {
  const origin = originOf(settings)
  const ignored = findIgnoredProxy(settings, environment)
  if (ignored !== undefined) report({ name: 'proxy', state: 'warning', found: `${ignored} is set, and not obeyed`, fix: 'set IZUMA_HTTPS_PROXY if the API is to be reached through it' })
  return settings.httpsProxy === undefined ? await checkDns(origin, report) && await checkTls(origin, settings, report) : skipDirect(report)
}

function originOf ({ apiHost, region }: Settings): URL {
  return new URL(apiHost ?? regions[region])
}

function skipDirect (report: Report): boolean {
  report({ name: 'dns', state: 'skipped', found: 'the forward proxy resolves names' })
  report({ name: 'tls', state: 'skipped', found: 'verified through the forward proxy, with the request to the API' })
  return true
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
    const code = describeCause(error)
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

function describeTls (origin: URL, settings: Settings): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect({ host: origin.hostname, port: Number(origin.port || 443), ...(isIP(origin.hostname) === 0 ? { servername: origin.hostname } : {}), timeout: timeoutMs, ...verifiedTls(settings) }, () => {
      const { valid_to: until, issuer } = socket.getPeerCertificate()
      resolve(`${socket.getProtocol()}, certificate by ${issuer.O ?? issuer.CN}, valid until ${until}`)
      socket.end()
    })
    socket.on('error', reject).on('timeout', () => socket.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })))
  })
}

interface Answer { status: number, date: string | undefined, body: string, requestId: string }

/** On the connections that the proxy itself would use, so that a forward proxy is tried too. */
async function ask (connections: Connections, origin: URL, path: string, key: Secret): Promise<Answer> {
  const only: AccessKeyService = { current: () => key, known: () => [key], reportAnswer () {}, reload () {}, onChange: () => () => {} }
  const send = makeSend(connections, only, origin.host, { headersTimeout: timeoutMs, bodyTimeout: timeoutMs })
  const { status, headers, body } = await send({ method: 'GET', path })
  return { status, date: headers['date']?.toString(), body: (await body.text()).slice(0, 65_536), requestId: String(headers['x-request-id'] ?? '') }
}

export async function checkApi (settings: Settings, key: Secret, report: Report): Promise<void> {
  const origin = originOf(settings)
  const connections = openConnections(origin.origin, { ...settings, upstreamWarmConnections: 0, upstreamConnections: 1 }, maxAnswerHeadBytes)
  try {
    const account = await ask(connections, origin, '/v3/accounts/me', key)
    report(describeAccount(account))
    checkClock(account, report)
    if (account.status === 200 && settings.channel !== 'off') report(describeChannel(await ask(connections, origin, '/v2/notification/channel', key)))
  } catch (error) {
    report({ name: 'api', state: 'failed', found: describeCause(error), fix: settings.httpsProxy === undefined ? 'try again; the cause lies between here and the API' : `see that the forward proxy of IZUMA_HTTPS_PROXY is there and lets CONNECT to ${origin.host} through` })
  } finally {
    await connections.close()
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
