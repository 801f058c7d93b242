import type { LinkEvent } from './link-machine.ts'
import type { SmallAnswer, UpstreamCalls } from './upstream-calls.ts'

/** Everything the API can tell of an item: members get what they asked for out of it. */
const serialization = {
  type: 'v2',
  cfg: { include_uid: true, include_timestamp: true, include_original_ep: true, deregistrations_as_object: true }
}

/** Registers the WebSocket channel at the API. What is there already stays; a channel of another type is never deleted. */
export async function registerChannel (calls: UpstreamCalls): Promise<LinkEvent> {
  const answer = await putChannel(calls, { serialization })
  if (isRegistered(answer)) return { type: 'registered', created: answer.status === 201 }
  const refused = { type: 'refused' as const, status: answer.status, retryAfterMs: readRetryAfter(answer.headers['retry-after']) }
  if (answer.status !== 400) return refused
  const mechanism = await findForeignMechanism(calls)
  if (mechanism !== undefined) return { ...refused, mechanism }
  // Not another channel, so the wish for details wasn't understood: the plain form is what every version takes.
  const plain = await putChannel(calls, {})
  return isRegistered(plain) ? { type: 'registered', created: plain.status === 201 } : { ...refused, status: plain.status }
}

function putChannel (calls: UpstreamCalls, body: object): Promise<SmallAnswer> {
  return calls.call({ method: 'PUT', path: '/v2/notification/websocket', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
}

function isRegistered ({ status }: SmallAnswer): boolean { return status === 200 || status === 201 }

async function findForeignMechanism (calls: UpstreamCalls): Promise<string | undefined> {
  const { status, text } = await calls.call({ method: 'GET', path: '/v2/notification/channel' })
  if (status !== 200) return undefined
  const mechanism: unknown = (JSON.parse(text) as { delivery_mechanism?: unknown }).delivery_mechanism
  return typeof mechanism === 'string' && mechanism !== 'WEB_SOCKET' ? mechanism : undefined
}

/** Delta seconds only: what the API might send; a date would need its clock. */
export function readRetryAfter (header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^[0-9]{1,5}$/.test(header) ? Number(header) * 1000 : undefined
}
