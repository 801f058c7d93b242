import type { FastifyBaseLogger } from 'fastify'
import { loadLists, unite } from './presubscriptions.ts'
import type { StateMap } from './state-journal.ts'
import type { Subscriptions } from './subscriptions.ts'
import type { UpstreamCalls } from './upstream-calls.ts'

export interface RestoreParts {
  calls: UpstreamCalls
  state: StateMap
  subscriptions: Subscriptions
  logger: FastifyBaseLogger
}

/** After the API lost the channel: everything that was subscribed to through the proxy is subscribed to again, one after the other. */
export async function restoreSubscriptions ({ calls, state, subscriptions, logger }: RestoreParts): Promise<void> {
  const lists = loadLists(state)
  if (lists.members.size > 0) {
    await calls.call({ method: 'PUT', path: '/v2/subscriptions', headers: { 'content-type': 'application/json' }, body: JSON.stringify(unite(lists)) })
  }
  for (const { device, path } of subscriptions.all()) {
    const { status } = await calls.call({ method: 'PUT', path: subscriptionPath(device, path) })
    if (status >= 400) logger.warn({ device, path, status }, 'a subscription could not be set again')
  }
}

export function subscriptionPath (device: string, path: string): string {
  return `/v2/subscriptions/${encodeURIComponent(device)}/${path.split('/').map(encodeURIComponent).join('/')}`
}
