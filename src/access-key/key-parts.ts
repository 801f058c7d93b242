/** Where the part of a key begins that must stay secret. What stands before it is public or says little. */
export function findSecretPart (key: string): number {
  // ak_ + digit + 43 base64 + 32 hex: the public part, which the API itself shows in lists of keys.
  const publicPart = /^ak_[0-9][A-Za-z0-9+/]{43}[0-9a-f]{32}(?=.{16})/.exec(key)
  if (publicPart !== null) return publicPart[0].length
  // A JWT: header and claims are no secret without the signature.
  if (/^eyJ[^.]*\.[^.]*\.[^.]{16}/.test(key)) return key.lastIndexOf('.') + 1
  return /^(?:ak|rt)_/.exec(key)?.[0].length ?? 0
}
