import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { createConnection } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { ServerOptions as TlsServerOptions } from 'node:https'
import type { FastifyInstance } from 'fastify'
import { readCertificates, readPrivateKey } from './config/pem.ts'
import type { Settings } from './config/table.ts'
import { writeAddress } from './ops/show-settings.ts'

type ListenSettings = Pick<Settings, 'listen' | 'tlsCertFile' | 'tlsKeyFile' | 'tlsClientCaFile'>

/** Certificates of the listener, read once at start; `undefined` for plain HTTP. */
export function tlsServerOptions ({ tlsCertFile, tlsKeyFile, tlsClientCaFile }: ListenSettings): TlsServerOptions | undefined {
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return undefined
  const cert = readCertificates('PROXY_TLS_CERT_FILE', tlsCertFile)
  return {
    cert,
    key: readPrivateKey('PROXY_TLS_KEY_FILE', tlsKeyFile, { name: 'PROXY_TLS_CERT_FILE', pem: cert }),
    minVersion: 'TLSv1.2',
    ...(tlsClientCaFile === undefined ? {} : { ca: readCertificates('PROXY_TLS_CLIENT_CA_FILE', tlsClientCaFile), requestCert: true, rejectUnauthorized: true })
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
  } catch (cause) {
    throw describeFault(where, cause as NodeJS.ErrnoException)
  } finally {
    app.log.level = level
  }
}

const faults: Record<string, string> = {
  EADDRINUSE: 'is taken, perhaps by a proxy that runs already. Stop what listens there, or choose another address (port 0 takes any free one)',
  EADDRNOTAVAIL: 'is no address of this machine. Listen on 127.0.0.1, or on one that it has',
  EACCES: 'may not be opened by this user. Choose a port above 1023, or a folder that may be written to',
  ENOTFOUND: 'is a name that does not resolve. Listen on an address'
}

function describeFault (where: { host: string, port: number } | { path: string }, cause: NodeJS.ErrnoException): Error {
  const address = writeAddress('path' in where ? { socketPath: where.path } : where)
  const { code = 'unknown' } = cause
  return Object.assign(new Error(`PROXY_LISTEN=${address} ${faults[code] ?? `cannot be opened (${code}). Choose another address`}.`, { cause }), { code })
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
