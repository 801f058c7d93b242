/** Curl and others obey it, so whoever has set it may expect the same here. */
const names = ['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy']

/** The variable that names a forward proxy which is not obeyed, if there is one: where the key goes is said by a setting of ours alone. */
export function findIgnoredProxy ({ httpsProxy }: { httpsProxy: string | undefined }, environment: Record<string, string | undefined>): string | undefined {
  return httpsProxy === undefined ? names.find(name => environment[name]) : undefined
}
