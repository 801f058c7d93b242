import type { ChannelRoom } from './room.ts'
import { loadLists, unite } from './presubscriptions.ts'

/** After the API lost the channel: everything that was subscribed to through the proxy is subscribed to again, one after the other. */
export async function restoreSubscriptions (room: ChannelRoom): Promise<void> {
  const { calls, parts, subscriptions } = room
  const lists = loadLists(parts.state)
  if (lists.members.size > 0) {
    await calls.call({ method: 'PUT', path: '/v2/subscriptions', headers: { 'content-type': 'application/json' }, body: JSON.stringify(unite(lists)) })
  }
  for (const { device, path } of subscriptions.all()) {
    const { status } = await calls.call({ method: 'PUT', path: subscriptionPath(device, path) })
    if (status >= 400) parts.logger.warn({ device, path, status }, 'a subscription could not be set again')
  }
}

export function subscriptionPath (device: string, path: string): string {
  return `/v2/subscriptions/${encodeURIComponent(device)}/${path.split('/').map(encodeURIComponent).join('/')}`
}
