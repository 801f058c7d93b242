import { generateKeyPairSync } from 'node:crypto'
import forge from 'node-forge'

export interface Certificate { cert: string, key: string }

const dayMs = 86_400_000
const { pki } = forge

/** One RSA pair for everything: making keys is slow and their secrecy is no matter in a test. */
const pair = generateKeyPairSync('rsa', { modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } })
const publicKey = pki.publicKeyFromPem(pair.publicKey)
const privateKey = pki.privateKeyFromPem(pair.privateKey)

let serial = 1

export interface Issue {
  commonName?: string
  /** Names and addresses; addresses are recognised by their look. */
  altNames?: string[]
  /** Days from now. */
  validFromDays?: number
  validForDays?: number
}

/** A certificate authority made for one test: `ca` is what to trust, `issue` makes server or client certificates. */
export function makeAuthority (name = 'test authority') {
  const subject = [{ name: 'commonName', value: name }]
  const ca = pki.certificateToPem(sign({ subject, issuer: subject, authority: true, days: [-1, 3650], altNames: [] }))
  return {
    ca,
    issue ({ commonName = 'localhost', altNames = ['localhost', '127.0.0.1', '::1'], validFromDays = -1, validForDays = 30 }: Issue = {}): Certificate {
      const certificate = sign({ subject: [{ name: 'commonName', value: commonName }], issuer: subject, authority: false, days: [validFromDays, validFromDays + validForDays], altNames })
      return { cert: pki.certificateToPem(certificate), key: pair.privateKey }
    }
  }
}

interface Signing { subject: forge.pki.CertificateField[], issuer: forge.pki.CertificateField[], authority: boolean, days: [number, number], altNames: string[] }

function sign ({ subject, issuer, authority, days: [from, to], altNames }: Signing): forge.pki.Certificate {
  const certificate = pki.createCertificate()
  certificate.publicKey = publicKey
  certificate.serialNumber = '01' + (serial++).toString(16).padStart(6, '0')
  certificate.validity.notBefore = new Date(Date.now() + from * dayMs)
  certificate.validity.notAfter = new Date(Date.now() + to * dayMs)
  certificate.setSubject(subject)
  certificate.setIssuer(issuer)
  certificate.setExtensions([
    { name: 'basicConstraints', cA: authority },
    ...(altNames.length === 0 ? [] : [{ name: 'subjectAltName', altNames: altNames.map(describeAltName) }])
  ])
  certificate.sign(privateKey, forge.md.sha256.create())
  return certificate
}

function describeAltName (name: string) {
  return /^[0-9.]+$|:/.test(name) ? { type: 7, ip: name } : { type: 2, value: name }
}
