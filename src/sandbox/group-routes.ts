import { errors, noContent, ok } from './answer.ts'
import type { Answer } from './answer.ts'
import { Collection, collectionRoutes } from './collection.ts'
import type { Exchange } from './exchange.ts'
import type { DeviceData } from './fleet.ts'
import { readListQuery, pageOf } from './pagination.ts'
import type { Route } from './router.ts'
import type { World } from './world.ts'

/** Device groups; a device can be in several. */
export function groupRoutes (world: World): Route[] {
  const { population } = world
  const groups = new Collection('device-group', world.ids, world.accountId)
  const members = new Map<string, Set<string>>()
  const path = '/v3/device-groups'

  const membersOf = (groupId: string): Set<string> => members.get(groupId) ?? new Set()

  function listMembers (exchange: Exchange): Answer {
    const { id } = groups.find(exchange.param('id'))
    const devices = [...membersOf(id)].map(deviceId => population.get(deviceId)).filter(device => device !== undefined)
    devices.sort((a, b) => population.ordinalOf(a.id) - population.ordinalOf(b.id))
    return ok(pageOf(devices, readListQuery(exchange.query)))
  }

  async function changeMembers (exchange: Exchange, change: (set: Set<string>, deviceId: string) => void): Promise<Answer> {
    const { id } = groups.find(exchange.param('id'))
    const { device_id: deviceId } = await exchange.json()
    const device = typeof deviceId === 'string' ? population.get(deviceId) : undefined
    if (device === undefined) throw errors.validation({ name: 'device_id', message: 'There is no such device.' })
    const set = membersOf(id)
    change(set, device.id)
    members.set(id, set)
    groups.update(id, { devices_count: set.size })
    population.update(device.id, { groups: groupsOf(device.id) } as Partial<DeviceData>)
    return noContent()
  }

  function groupsOf (deviceId: string): string[] {
    return [...members].filter(([, set]) => set.has(deviceId)).map(([groupId]) => groupId)
  }

  function deleteGroup (exchange: Exchange): Answer {
    const { id } = groups.find(exchange.param('id'))
    const former = membersOf(id)
    members.delete(id)
    groups.delete(id)
    for (const deviceId of former) population.update(deviceId, { groups: groupsOf(deviceId) } as Partial<DeviceData>)
    return noContent()
  }

  const writable = { name: 128, description: 1024, custom_attributes: Infinity }
  const routes = collectionRoutes({ collection: groups, path, writable, required: ['name'], unique: 'name', origin: () => world.origin })
  seed(groups, members, world)
  return [
    ...routes.map(route => route.method === 'DELETE' ? { ...route, handle: deleteGroup } : route),
    { method: 'GET', path: `${path}/{id}/devices`, handle: listMembers },
    { method: 'POST', path: `${path}/{id}/devices/add`, handle: async exchange => await changeMembers(exchange, (set, id) => set.add(id)) },
    { method: 'POST', path: `${path}/{id}/devices/remove`, handle: async exchange => await changeMembers(exchange, (set, id) => set.delete(id)) }
  ]
}

/** Two groups to begin with, of the first few devices. */
function seed (groups: Collection, members: Map<string, Set<string>>, { population }: World): void {
  for (const [index, name] of ['Pilot site', 'North district'].entries()) {
    const ids = Array.from({ length: 5 }, (_, offset) => population.at(index * 5 + offset)?.id).filter(id => id !== undefined)
    const group = groups.create({ name, description: '', custom_attributes: {}, devices_count: ids.length })
    members.set(group.id, new Set(ids))
    for (const id of ids) population.update(id, { groups: [group.id] } as Partial<DeviceData>)
  }
}
