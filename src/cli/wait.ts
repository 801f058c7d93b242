import { request } from 'node:http'
import { request as requestTls } from 'node:https'
import type { ListenAddress } from '../config/kinds.ts'
import type { Settings } from '../config/table.ts'
import { duration } from '../config/kinds.ts'
import { UsageError, type Command } from './command.ts'

const pauseMs = 200

export const command: Command = {
  name: 'wait',
  summary: 'wait until the proxy is ready',
  help: `
Asks /_proxy/readyz of the proxy at PROXY_LISTEN again and again. Exits 0 as soon as it is ready, 1 when the time is up.

  izuma-proxy wait --max 30s && ./start-my-app`,
  options: { max: { type: 'string', default: '30s' } },
  takesSettings: true,
  async run ({ settings: load, options, terminal }) {
    const settings = load()
    if (settings.tlsClientCaFile !== undefined && settings.healthListen === undefined) throw new UsageError(mutualTls)
    const deadline = performance.now() + parseMax(String(options['max']))
    let reason = 'no answer yet'
    while (performance.now() < deadline && !terminal.interrupted.aborted) {
      reason = await findReasonToWait(settings)
      if (reason === '') return 0
      await new Promise(resolve => setTimeout(resolve, pauseMs))
    }
    terminal.stderr.write(`izuma-proxy: not ready: ${reason}\n`)
    return 1
  }
}

const mutualTls = 'with mutual TLS the listener answers nobody without a client certificate, this command included: set PROXY_HEALTH_LISTEN, e.g. to 127.0.0.1:9090'

function parseMax (text: string): number {
  if (!/^[0-9]+(ms|s|m|h|d)$/.test(text)) throw new UsageError(`--max ${text}: expected ${duration.expected}`)
  return duration.decode(text)
}

/** `''` once the proxy is ready. */
function findReasonToWait (settings: Pick<Settings, 'listen' | 'tlsCertFile' | 'healthListen' | 'allowedHosts'>): Promise<string> {
  const health = settings.healthListen
  const address = health ?? settings.listen
  // Whether the certificate is one this machine trusts is no question of readiness, and nothing secret is sent.
  const tls = health === undefined && settings.tlsCertFile !== undefined
  const ask = tls ? requestTls : request
  return new Promise(resolve => {
    const asked = ask({ ...whereTo(address), path: '/_proxy/readyz', headers: { Host: servedHost(settings) }, timeout: 2_000, ...(tls ? { rejectUnauthorized: false } : {}) }, answer => {
      let body = ''
      answer.setEncoding('utf8').on('data', (text: string) => { body += text }).on('end', () => resolve(answer.statusCode === 200 ? '' : `readyz says ${answer.statusCode}: ${body.slice(0, 500)}`))
    })
    asked.on('timeout', () => asked.destroy(new Error('no answer within 2 s'))).on('error', error => resolve(error.message)).end()
  })
}

/** A name that the listener answers to. */
export function servedHost ({ allowedHosts }: Pick<Settings, 'allowedHosts'>): string {
  return allowedHosts.includes('localhost') ? 'localhost' : allowedHosts[0] ?? 'localhost'
}

/** A wildcard address is reached over loopback. */
export function whereTo (address: ListenAddress) {
  if ('socketPath' in address) return { socketPath: address.socketPath }
  const host = address.host === '0.0.0.0' ? '127.0.0.1' : address.host === '::' ? '::1' : address.host
  return { host, port: address.port }
}
