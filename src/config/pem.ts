import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'

const block = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g

/** The PEM certificates of a file that a setting names, as text. Throws an error that names the setting and says what to do. */
export function readCertificates (name: string, file: string): string {
  const text = readNamed(name, file)
  const blocks = text.match(block) ?? []
  if (blocks.length === 0) throw new Error(`${name}=${file}: holds no PEM certificate (-----BEGIN CERTIFICATE-----)`)
  for (const [index, pem] of blocks.entries()) {
    attempt(() => new X509Certificate(pem), `${name}=${file}: certificate ${index + 1} of ${blocks.length} is damaged`)
  }
  return text
}

/** The PEM private key of a file, which has to be that of the certificate. */
export function readPrivateKey (name: string, file: string, certificates: { name: string, pem: string }): string {
  const text = readNamed(name, file)
  const key = attempt(() => createPrivateKey(text), `${name}=${file}: holds no PEM private key that can be read without a passphrase`)
  if (!new X509Certificate(certificates.pem).checkPrivateKey(key)) throw new Error(`${name}=${file}: is not the key of the certificate in ${certificates.name}`)
  return text
}

function readNamed (name: string, file: string): string {
  return attempt(() => readFileSync(file, 'utf8'), code => `${name}=${file}: cannot be read (${code})`)
}

function attempt<T> (action: () => T, message: string | ((code: string) => string)): T {
  try {
    return action()
  } catch (cause) {
    throw new Error(typeof message === 'string' ? message : message((cause as NodeJS.ErrnoException).code ?? 'unknown'), { cause })
  }
}
