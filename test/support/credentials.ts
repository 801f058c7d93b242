/** Synthetic credentials, put together at run time: none of them was ever issued, and no scanner should find one in a file. */

/** The first 79 characters of a key: version, account id, key id. Not a secret. */
export const publicPart = 'ak_' + '1' + 'MDE2'.repeat(10) + 'MDE' + '0123456789abcdef'.repeat(2)
export const fullKey = publicPart + 'aB3dE6gH'.repeat(4)
/** As keys looked before. */
export const legacyKey = 'ak_' + 'a1b2c3d4'.repeat(4)
export const referenceToken = 'rt_' + 'Zm9vYmFy'.repeat(4)
export const jwtKey = [{ alg: 'RS256' }, { sub: 'account' }].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.') + '.' + 'c2ln'.repeat(8)
export const memberToken = 'izp_' + 'dG9rZW4x'.repeat(5)

/** Every character percent-encoded. */
export function escapeAll (text: string): string {
  return Buffer.from(text, 'latin1').toString('hex').replace(/../g, '%$&')
}
