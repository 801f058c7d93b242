/**
 * The Host allow-list: what stops DNS rebinding. A page of evil.example whose name suddenly resolves to 127.0.0.1
 * is same-origin for the browser, but its requests still say `Host: evil.example`.
 */

/** Says whether a Host header's value is served. */
export type HostJudge = (host: string) => boolean

// uri-host [ ":" port ] (RFC 9110 §7.2): a bracketed IPv6 address, or a name; one trailing dot means the same name.
const hostAndPort = /^(\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?(?::([0-9]{1,5}))?$/

interface Authority { name: string, port: string }

function parseAuthority (host: string): Authority | undefined {
  const match = hostAndPort.exec(host.toLowerCase())
  if (match === null || Number(match[2]) > 65535) return undefined
  return { name: match[1] ?? '', port: match[2] ?? '' }
}

/**
 * @param allowed names, with a port (only that one) or without (any port). `any`: the listener is a unix socket,
 * which no page can reach, so every well-formed Host is fine (curl sends the name of the URL it was given).
 */
export function createHostJudge (allowed: readonly string[] | 'any'): HostJudge {
  const ports = allowed === 'any' ? undefined : indexByName(allowed)
  let lastAllowed: string | undefined
  return host => {
    if (host === lastAllowed) return true
    const authority = parseAuthority(host)
    if (authority === undefined || !(ports === undefined || serves(ports, authority))) return false
    lastAllowed = host
    return true
  }
}

function indexByName (allowed: readonly string[]): Map<string, Set<string>> {
  const ports = new Map<string, Set<string>>()
  for (const entry of allowed) {
    const authority = parseAuthority(entry)
    if (authority === undefined) throw new Error(`PROXY_ALLOWED_HOSTS holds ${JSON.stringify(entry)}, which is not a host name with or without a port`)
    ports.set(authority.name, (ports.get(authority.name) ?? new Set()).add(authority.port))
  }
  return ports
}

function serves (ports: Map<string, Set<string>>, { name, port }: Authority): boolean {
  const served = ports.get(name)
  return served !== undefined && (served.has('') || served.has(port))
}
