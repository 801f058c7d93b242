import { isIP } from 'node:net'
import type { ListenAddress } from './kinds.ts'
import type { SettingKey, Settings } from './table.ts'

/**
 * Rules on several settings, and on the environment around them. Each line says what to do. What is wrong by itself has
 * its line already: rules that would need it are left out.
 */
export function checkTogether (settings: Settings, wrong: ReadonlySet<SettingKey>, environment: Record<string, string | undefined>): string[] {
  const isSound = (...keys: SettingKey[]) => !keys.some(key => wrong.has(key))
  return [
    ...isSound('listen', 'teamFile', 'tlsCertFile', 'tlsKeyFile', 'tlsClientCaFile') ? checkListener(settings) : [],
    ...checkAccessKey(settings),
    ...checkEnvironment(environment)
  ]
}

function * checkListener ({ listen, teamFile, tlsCertFile, tlsKeyFile, tlsClientCaFile }: Settings) {
  if (!staysOnThisMachine(listen) && teamFile === undefined && tlsClientCaFile === undefined) {
    yield 'PROXY_LISTEN is open to other machines, so members need tokens: set PROXY_TEAM_FILE (izuma-proxy team add NAME makes one), or listen on 127.0.0.1'
  }
  if ((tlsCertFile === undefined) !== (tlsKeyFile === undefined)) yield 'PROXY_TLS_CERT_FILE and PROXY_TLS_KEY_FILE belong together: set both or neither'
  if (tlsClientCaFile !== undefined && tlsCertFile === undefined) yield 'PROXY_TLS_CLIENT_CA_FILE needs PROXY_TLS_CERT_FILE and PROXY_TLS_KEY_FILE'
  if (tlsClientCaFile !== undefined && teamFile === undefined) yield 'PROXY_TLS_CLIENT_CA_FILE names members, so it needs PROXY_TEAM_FILE'
}

function * checkAccessKey ({ accessKey, accessKeyCommand, accessKeyFile }: Settings) {
  const given = [accessKeyFile && 'IZUMA_ACCESS_KEY_FILE', accessKeyCommand && 'IZUMA_ACCESS_KEY_COMMAND', accessKey && 'IZUMA_ACCESS_KEY'].filter(Boolean)
  if (given.length > 1) yield `${given.join(' and ')} are both set: keep one`
}

function * checkEnvironment (environment: Record<string, string | undefined>) {
  if (environment['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    yield 'NODE_TLS_REJECT_UNAUTHORIZED=0 turns certificate checks off, so the key could go to anybody: unset it; for a private authority use IZUMA_CA_FILE'
  }
}

/** Loopback addresses, `localhost` and Unix sockets. */
export function staysOnThisMachine (address: ListenAddress): boolean {
  if ('socketPath' in address) return true
  if (isIP(address.host) === 4) return address.host.startsWith('127.')
  return address.host === 'localhost' || address.host === '::1'
}
