import { chmodSync, lstatSync, readFileSync, unlinkSync } from 'node:fs'
import { createConnection } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { ServerOptions as TlsServerOptions } from 'node:https'
import type { FastifyInstance } from 'fastify'
import type { Settings } from './config/table.ts'

type ListenSettings = Pick<Settings, 'listen' | 'tlsCertFile' | 'tlsKeyFile' | 'tlsClientCaFile'>

/** Certificates of the listener, read once at start; `undefined` for plain HTTP. */
export function tlsServerOptions ({ tlsCertFile, tlsKeyFile, tlsClientCaFile }: ListenSettings): TlsServerOptions | undefined {
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return undefined
  return {
    cert: readPem('PROXY_TLS_CERT_FILE', tlsCertFile),
    key: readPem('PROXY_TLS_KEY_FILE', tlsKeyFile),
    minVersion: 'TLSv1.2',
    ...(tlsClientCaFile === undefined ? {} : { ca: readPem('PROXY_TLS_CLIENT_CA_FILE', tlsClientCaFile), requestCert: true, rejectUnauthorized: true })
  }
}

function readPem (name: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new Error(`${name}=${file}: cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'unknown'})`, { cause })
  }
}

/** Starts listening and tells under which URL. A Unix socket is for its owner alone. */
export async function startListening (app: FastifyInstance, settings: ListenSettings): Promise<string> {
  const { listen } = settings
  if (!('socketPath' in listen)) {
    await listenSilently(app, { host: listen.host, port: listen.port })
    return describeUrl(app.server.address() as AddressInfo, settings)
  }
  await removeStaleSocket(listen.socketPath)
  await listenSilently(app, { path: listen.socketPath })
  chmodSync(listen.socketPath, 0o600)
  return `unix:${listen.socketPath}`
}

/** Without Fastify's own line: the first one after listening is `start`'s, which programs read the URL from. */
async function listenSilently (app: FastifyInstance, where: { host: string, port: number } | { path: string }): Promise<void> {
  await app.ready()
  const { level } = app.log
  app.log.level = 'error'
  try {
    await app.listen(where)
  } finally {
    app.log.level = level
  }
}

function describeUrl ({ address, family, port }: AddressInfo, { tlsCertFile }: ListenSettings): string {
  const host = family === 'IPv6' ? `[${address}]` : address
  return `${tlsCertFile === undefined ? 'http' : 'https'}://${host}:${port}`
}

/** A socket file that nobody answers on was left by a crash; one that somebody answers on is theirs. */
async function removeStaleSocket (path: string): Promise<void> {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return
  const inUse = await new Promise<boolean>(resolve => {
    const probe = createConnection(path, () => { probe.destroy(); resolve(true) }).on('error', () => resolve(false))
  })
  if (!inUse) unlinkSync(path)
}
