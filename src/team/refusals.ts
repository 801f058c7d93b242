import type { Decision, Member } from '../decorations.ts'
import { proxyError, type ProxyError } from '../errors.ts'
import type { Refusal } from './limits.ts'
import { defaultPresets } from './presets.ts'

/** One constant error: nothing tells a wrong token from an expired one, and a flood of them costs no stack traces. */
export const memberUnknown: ProxyError = proxyError('member_unknown')

/** Names the rule and the way out, as whoever runs the proxy will be asked for it. */
export function memberForbidden (member: Member, { rule }: Decision): ProxyError {
  return proxyError('member_forbidden', { message: `The policy of the member ${member.name} forbids this: ${rule}. ${describeWayOut(member, rule)}` })
}

function describeWayOut ({ name }: Member, rule: string): string {
  if (name === 'local') return 'PROXY_LOCAL_DENY says so.'
  if (!defaultPresets.some(preset => preset === rule)) return `izuma-proxy team test ${name} METHOD PATH explains it.`
  return 'This preset holds for everybody; a rule in the member\'s "allow" that names the path lifts it, e.g. "GET /v3/devices/*/console" or "POST /v3/api-keys".'
}

export function limitReached ({ type, message, retryAfter }: Refusal): ProxyError {
  return proxyError(type, { message, retryAfter })
}

export function tooManyWrongTokens (waitMs: number): ProxyError {
  return proxyError('rate_limited', { message: 'Too many wrong member tokens came from this address.', retryAfter: Math.max(1, Math.ceil(waitMs / 1000)) })
}
