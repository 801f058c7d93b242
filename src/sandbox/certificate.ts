import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import { bits, boolean, explicit, implicit, integer, octets, oid, sequence, set, time, utf8 } from './der.ts'

/** What a TLS server needs, and the root that its clients have to trust. PEM. */
export interface TlsMaterial {
  caPem: string
  certPem: string
  keyPem: string
}

export interface CertificateOptions {
  /** DNS names and addresses it is good for. Default: `localhost`, `127.0.0.1`, `::1`. */
  names?: string[]
  notBefore?: Date
  notAfter?: Date
  /**
   * Who signs it. `authority` (default): the root in `caPem`. `stranger`: another root of the same name, so that
   * the chain cannot be verified with `caPem`. `itself`: self-signed.
   */
  signedBy?: 'authority' | 'stranger' | 'itself'
}

interface Authority { name: string, publicKey: KeyObject, privateKey: KeyObject }

const dayMs = 86_400_000
const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'))

/**
 * A root and a server certificate (X.509 v3, RFC 5280) on fresh P-256 keys: node makes such a key in under a millisecond,
 * an RSA one takes a tenth of a second. Node can sign but not write certificates, hence the few lines of DER.
 */
export function makeCertificate (options: CertificateOptions = {}): TlsMaterial {
  const authority = makeAuthority('izuma-proxy sandbox root')
  const server = makeAuthority('izuma-proxy sandbox')
  const signers = { authority, stranger: makeAuthority(authority.name), itself: server }
  const issuer = signers[options.signedBy ?? 'authority']
  return {
    caPem: encodePem(issueCertificate(authority, authority, rootExtensions(), validity({}))),
    certPem: encodePem(issueCertificate(server, issuer, serverExtensions(options.names ?? ['localhost', '127.0.0.1', '::1']), validity(options))),
    keyPem: server.privateKey.export({ type: 'pkcs8', format: 'pem' })
  }
}

function makeAuthority (name: string): Authority {
  return { name, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) }
}

/** A day's grace into the past, for clocks that disagree; 30 days ahead, so that nobody keeps it. */
function validity (options: CertificateOptions): Buffer {
  const now = Date.now()
  return sequence(time(options.notBefore ?? new Date(now - dayMs)), time(options.notAfter ?? new Date(now + 30 * dayMs)))
}

function issueCertificate (subject: Authority, issuer: Authority, extensions: Buffer[], valid: Buffer): Buffer {
  const body = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    ecdsaWithSha256,
    distinguishedName(issuer.name),
    valid,
    distinguishedName(subject.name),
    subject.publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...extensions, keyIdentifiers(subject), authorityIdentifier(issuer)))
  )
  return sequence(body, ecdsaWithSha256, bits(sign('sha256', body, issuer.privateKey)))
}

function distinguishedName (commonName: string): Buffer {
  return sequence(set(sequence(oid('2.5.4.3'), utf8(commonName))))
}

function extension (id: string, value: Buffer, critical = false): Buffer {
  return critical ? sequence(oid(id), boolean(true), octets(value)) : sequence(oid(id), octets(value))
}

/** basicConstraints CA, keyUsage keyCertSign and cRLSign. */
function rootExtensions (): Buffer[] {
  return [
    extension('2.5.29.19', sequence(boolean(true)), true),
    extension('2.5.29.15', bits(Buffer.from([0x06]), 1), true)
  ]
}

/** basicConstraints not CA, keyUsage digitalSignature, extendedKeyUsage serverAuth, subjectAltName. */
function serverExtensions (names: string[]): Buffer[] {
  return [
    extension('2.5.29.19', sequence(), true),
    extension('2.5.29.15', bits(Buffer.from([0x80]), 7), true),
    extension('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.1'))),
    extension('2.5.29.17', sequence(...names.map(generalName)))
  ]
}

/** RFC 5280 §4.2.1.6: `dNSName [2]`, `iPAddress [7]`. */
function generalName (name: string): Buffer {
  return isIP(name) === 0 ? implicit(2, Buffer.from(name)) : implicit(7, addressOctets(name))
}

function addressOctets (address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail = ''] = address.split('::')
  const groups = (half: string): number[] => half === '' ? [] : half.split(':').map(group => parseInt(group, 16))
  const missing = 8 - groups(head).length - groups(tail).length
  const all = [...groups(head), ...Array.from({ length: missing }, () => 0), ...groups(tail)]
  return Buffer.from(all.flatMap(group => [group >>> 8, group & 0xff]))
}

/** With these two, a chain to a root of the same name but another key is told apart from a bad signature. */
function keyIdentifiers (subject: Authority): Buffer {
  return extension('2.5.29.14', octets(keyIdentifier(subject)))
}

function authorityIdentifier (issuer: Authority): Buffer {
  return extension('2.5.29.35', sequence(implicit(0, keyIdentifier(issuer))))
}

function keyIdentifier (owner: Authority): Buffer {
  return createHash('sha1').update(owner.publicKey.export({ type: 'spki', format: 'der' })).digest()
}

function encodePem (der: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replaceAll(/.{64}/g, '$&\n').trimEnd()}\n-----END CERTIFICATE-----\n`
}
