import { errors, noContent, ok } from './answer.ts'
import type { Answer } from './answer.ts'
import { Collection, collectionRoutes } from './collection.ts'
import type { Exchange } from './exchange.ts'
import type { Route } from './router.ts'
import type { World } from './world.ts'

const campaignFields = { name: 128, description: 2000, device_filter: 2500, root_manifest_id: 32, when: 32, campaign_strategy: 16, approval_required: Infinity, autostop: Infinity }

/** Saved device queries, firmware manifests and update campaigns. */
export function updateRoutes (world: World): Route[] {
  const { ids, accountId, population } = world
  const origin = (): string => world.origin
  const queries = new Collection('device-query', ids, accountId)
  const manifests = new Collection('firmware-manifest', ids, accountId)
  const campaigns = new Collection('update-campaign', ids, accountId)
  queries.create({ name: 'Registered devices', query: 'state=registered' })
  for (const version of ['2.4.0', '2.4.1']) manifests.create({ name: `street-light ${version}`, description: '', device_class: 'LM-9', manifest_schema_version: '3', datafile: 'https://firmware.example.com/manifest', datafile_size: 512 })

  /** `root_manifest_url` is an absolute URL of the API itself. */
  async function createCampaign (exchange: Exchange, create: Route['handle']): Promise<Answer> {
    const answer = await create(exchange)
    const { id, root_manifest_id: manifest } = answer.json as { id: string, root_manifest_id?: string }
    const url = manifest === undefined ? '' : `${world.origin}/v3/firmware-manifests/${manifest}`
    return { ...answer, json: campaigns.update(id, { phase: 'draft', state: 'draft', root_manifest_url: url }) }
  }

  function move (exchange: Exchange, from: string, to: string): Answer {
    const campaign = campaigns.find(exchange.param('id'))
    if (campaign['phase'] !== from) throw errors.duplicate(`Conflict. The campaign is not ${from}.`)
    campaigns.update(campaign.id, { phase: to, state: to })
    return { status: 202 }
  }

  function archive (exchange: Exchange): Answer {
    campaigns.update(exchange.param('id'), { phase: 'archived', archived_at: ids.now() })
    return noContent()
  }

  /** The last values that the platform has of a device. */
  function describeEcho (exchange: Exchange): Answer {
    const device = population.get(exchange.param('id'))
    if (device === undefined) throw errors.notFound('Device not found from Device Echo.')
    const step = Math.floor(Date.now() / 1000)
    const resources = population.modelOf(device).resources.map(resource => ({
      resource_path: resource.path,
      subscribed: false,
      reported: { value: population.read(device, resource, step), updated_at: ids.now() }
    }))
    return ok({ object: 'device-echo', device_id: device.id, endpoint_name: device.endpoint_name, created_at: device.created_at, updated_at: device.updated_at, resources })
  }

  const campaign = '/v3/update-campaigns'
  const campaignRoutes = collectionRoutes({ collection: campaigns, path: campaign, writable: campaignFields, required: ['device_filter'], origin })
    .map(route => route.method === 'POST' ? { ...route, handle: async (exchange: Exchange) => await createCampaign(exchange, route.handle) } : route)
  return [
    ...collectionRoutes({ collection: queries, path: '/v3/device-queries', writable: { name: 200, query: 1000 }, required: ['name', 'query'], unique: 'name', origin }),
    ...collectionRoutes({ collection: manifests, path: '/v3/firmware-manifests', origin }),
    ...campaignRoutes,
    { method: 'POST', path: `${campaign}/{id}/start`, handle: exchange => move(exchange, 'draft', 'active') },
    { method: 'POST', path: `${campaign}/{id}/stop`, handle: exchange => move(exchange, 'active', 'stopped') },
    { method: 'POST', path: `${campaign}/{id}/archive`, handle: archive },
    { method: 'GET', path: '/v3/devices/{id}/echo', handle: describeEcho }
  ]
}
