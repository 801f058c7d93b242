import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'

const intervalMs = 20_000

/**
 * Calls `onChange` when the host's addresses are no longer those they were. Asked every 20 s, so that a changed record
 * is in use within a minute; a failing resolver is no change.
 */
export function watchAddresses (hostname: string, onChange: () => void): { close (): void } {
  if (isIP(hostname.replace(/^\[|\]$/g, '')) !== 0) return { close () {} }
  let known: string | undefined
  const look = async () => {
    const found = await resolve(hostname)
    if (found !== undefined && known !== undefined && !overlap(known, found)) onChange()
    known = found ?? known
  }
  void look()
  const timer = setInterval(() => void look(), intervalMs).unref()
  return { close: () => clearInterval(timer) }
}

async function resolve (hostname: string): Promise<string | undefined> {
  try {
    const addresses = await lookup(hostname, { all: true })
    return addresses.map(({ address }) => address).sort().join(' ')
  } catch {
    return undefined
  }
}

/** Load balancers rotate through many addresses: while one of the old ones is still named, nothing has moved. */
export function overlap (before: string, after: string): boolean {
  const later = new Set(after.split(' '))
  return before.split(' ').some(address => later.has(address))
}
