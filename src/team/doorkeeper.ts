import type { FastifyRequest } from 'fastify'
import type { Credential } from './credential.ts'
import { isOwnPath } from './own-paths.ts'
import { findCommonName, findToken } from './presented-token.ts'
import type { TeamState } from './team-state.ts'

/** How the gate tells who asks: `undefined` if nobody it knows, having shown a wrong token or none. */
export interface Doorkeeper {
  identify (request: FastifyRequest): Credential | undefined
  showsToken (request: FastifyRequest): boolean
}

/** Certificate before token, token before session; two that disagree are nobody. */
export function createDoorkeeper (state: TeamState, hasCertificates: boolean, bySession: (request: FastifyRequest) => Credential | undefined): Doorkeeper {
  function identify (request: FastifyRequest): Credential | undefined {
    const { raw, target } = request
    const token = findToken(raw.headers)
    const byToken = token === undefined ? undefined : state.roster.findByToken(token, Date.now())
    if (!hasCertificates) return token === undefined && isOwnPath(target.canonicalPath) ? bySession(request) : byToken
    const byCertificate = state.roster.findByCertificate(findCommonName(raw))
    if (token === undefined) return byCertificate
    return byToken?.member.name === byCertificate?.member.name ? byToken : undefined
  }
  return { identify, showsToken: ({ raw }) => findToken(raw.headers) !== undefined }
}
