import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createToken, digestToken } from '../../src/team/token.ts'
import { startProduct, type Product } from './product.ts'

export type Name = 'ada' | 'grace'

export interface TeamProduct extends Product {
  tokens: Record<Name, string>
  /** As an API client with a member's token. */
  send (name: Name, path: string, init?: RequestInit): Promise<{ status: number, body: unknown }>
  /** Takes everybody else out of the team file. */
  keepOnly (...names: Name[]): void
}

/** The product with a team: ada is admin, grace has limits. */
export async function startTeamProduct (t: Test, options: Parameters<typeof startProduct>[1] = {}): Promise<TeamProduct> {
  const tokens = { ada: createToken(), grace: createToken() }
  const members = {
    ada: { role: 'admin', tokens: [{ sha256: digestToken(tokens.ada) }] },
    grace: { tokens: [{ sha256: digestToken(tokens.grace) }], daily: 50, concurrency: 8 }
  }
  const file = join(t.testdir({}), 'team.json')
  const keepOnly = (...names: Name[]): void => writeFileSync(file, JSON.stringify({ members: Object.fromEntries(names.map(name => [name, members[name]])) }))
  keepOnly('ada', 'grace')
  const product = await startProduct(t, { ...options, flags: { '--team-file': file, ...options.flags } })
  return Object.assign(product, {
    tokens,
    keepOnly,
    async send (name: Name, path: string, init: RequestInit = {}) {
      const answer = await fetch(product.url + path, { ...init, headers: { authorization: `Bearer ${tokens[name]}`, 'user-agent': 'a-client/1.0', ...init.headers } })
      const text = await answer.text()
      return { status: answer.status, body: text.startsWith('{') ? JSON.parse(text) as unknown : text }
    }
  })
}
