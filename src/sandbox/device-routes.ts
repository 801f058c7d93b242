import { errors, noContent, ok } from './answer.ts'
import type { Answer, FieldFault } from './answer.ts'
import type { Exchange, JsonObject } from './exchange.ts'
import type { DeviceData } from './fleet.ts'
import { readListQuery } from './pagination.ts'
import type { Route } from './router.ts'
import type { World } from './world.ts'

/** Longest value of each field that a client may write (DeviceDataPostRequest of the API's specification). */
const textLimits: Record<string, number> = {
  name: 128, description: 2000, device_class: 32, endpoint_type: 64, device_key: 512, ca_id: 500, endpoint_name: 64, serial_number: 64, vendor_id: 255, host_gateway: 255
}
const objectFields = ['custom_attributes', 'component_attributes']
const otherFields = ['auto_update', 'state', 'lifecycle_status', 'bootstrap_expiration_date', 'connector_expiration_date', 'device_execution_mode', 'issuer_fingerprint']
const maxAttributes = 10

export function deviceRoutes ({ population, events }: World): Route[] {
  function find (id: string): DeviceData {
    const device = population.get(id)
    if (device === undefined) throw errors.notFound('Device not found.')
    return device
  }

  async function createDevice (exchange: Exchange): Promise<Answer> {
    const fields = readFields(await exchange.json())
    return { status: 201, json: population.create({ state: 'unenrolled', ...fields }) }
  }

  async function updateDevice (exchange: Exchange): Promise<Answer> {
    const device = find(exchange.param('id'))
    const fields = readFields(await exchange.json())
    delete fields['endpoint_name']
    return ok(population.update(device.id, fields))
  }

  function deleteDevice (exchange: Exchange): Answer {
    const device = find(exchange.param('id'))
    if (device.state === 'registered') events.deregister(device.id)
    population.delete(device.id)
    return noContent()
  }

  async function suspend (exchange: Exchange, suspended: boolean): Promise<Answer> {
    const device = find(exchange.param('id'))
    const { category = '', description = '' } = await exchange.json()
    const changes = { operator_suspended: suspended, lifecycle_status: suspended ? 'blocked' : 'enabled', last_operator_suspended_category: category, last_operator_suspended_description: description }
    population.update(device.id, changes as Partial<DeviceData>)
    return noContent()
  }

  return [
    { method: 'GET', path: '/v3/devices', handle: async exchange => ok(await population.list(readListQuery(exchange.query))) },
    { method: 'POST', path: '/v3/devices', handle: createDevice },
    { method: 'GET', path: '/v3/devices/{id}', handle: exchange => ok(find(exchange.param('id'))) },
    { method: 'PUT', path: '/v3/devices/{id}', handle: updateDevice },
    { method: 'DELETE', path: '/v3/devices/{id}', handle: deleteDevice },
    { method: 'POST', path: '/v3/devices/{id}/suspend', handle: async exchange => await suspend(exchange, true) },
    { method: 'POST', path: '/v3/devices/{id}/resume', handle: async exchange => await suspend(exchange, false) }
  ]
}

/** The fields a client may write; 400 for one that is not as it should be. Others are passed over, as read-only ones are. */
function readFields (body: JsonObject): Partial<DeviceData> {
  const faults = Object.entries(body).map(([name, value]) => judge(name, value)).filter(fault => fault !== undefined)
  if (faults.length > 0) throw errors.validation(...faults)
  const writable = (name: string): boolean => name in textLimits || objectFields.includes(name) || otherFields.includes(name)
  return Object.fromEntries(Object.entries(body).filter(([name]) => writable(name)))
}

function judge (name: string, value: unknown): FieldFault | undefined {
  const limit = textLimits[name]
  if (limit !== undefined && typeof value !== 'string') return { name, message: 'Not a valid string.' }
  if (limit !== undefined && String(value).length > limit) return { name, message: `Ensure this field has no more than ${limit} characters.` }
  if (!objectFields.includes(name)) return undefined
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { name, message: 'Expected an object.' }
  return Object.keys(value).length > maxAttributes ? { name, message: `Ensure this field has no more than ${maxAttributes} elements.` } : undefined
}
