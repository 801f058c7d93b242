/** What kinds of devices the fleet has: eight inventions, on the registered LwM2M objects (OMA LwM2M registry). */

export interface ResourceModel {
  path: string
  /** LwM2M resource type, as `rt`. */
  rt: string
  observable: boolean
  writable?: boolean
  executable?: boolean
  /** A text that stays, or a number that wanders between two bounds. */
  value: string | { low: number, high: number, decimals: number }
}

export interface DeviceModel {
  /** Endpoint type. */
  type: string
  deviceClass: string
  /** Sleeps between its contacts: requests wait for it in a queue. */
  queueMode: boolean
  gateway: boolean
  resources: ResourceModel[]
}

const sensor = (path: string, rt: string, low: number, high: number, decimals = 1): ResourceModel =>
  ({ path, rt, observable: true, value: { low, high, decimals } })
const control = (path: string, rt: string, value: string): ResourceModel =>
  ({ path, rt, observable: true, writable: true, value })
const constant = (path: string, rt: string, value: string): ResourceModel =>
  ({ path, rt, observable: false, value })

function basics (manufacturer: string, model: string): ResourceModel[] {
  return [
    constant('/1/0/1', 'lifetime', '3600'),
    constant('/3/0/0', 'manufacturer', manufacturer),
    constant('/3/0/1', 'model', model),
    constant('/3/0/3', 'firmware_version', '2.4.1'),
    { path: '/3/0/4', rt: 'reboot', observable: false, executable: true, value: '' },
    constant('/3/0/16', 'binding', 'U'),
    constant('/10252/0/2', 'update_state', '0')
  ]
}

const battery = sensor('/3/0/9', 'battery_level', 12, 100, 0)

function model (type: string, maker: string, deviceClass: string, options: { queueMode?: boolean, gateway?: boolean }, ...resources: ResourceModel[]): DeviceModel {
  return { type, deviceClass, queueMode: options.queueMode ?? false, gateway: options.gateway ?? false, resources: [...basics(maker, deviceClass), ...resources] }
}

export const models: readonly DeviceModel[] = [
  model('cold-store', 'Fjordlight', 'FL-CS2', { queueMode: true }, battery, sensor('/3303/0/5700', 'temperature', -24, -16), sensor('/3304/0/5700', 'humidity', 55, 80)),
  model('street-light', 'Lumenta', 'LM-9', {}, control('/3311/0/5850', 'on_off', '0'), control('/3311/0/5851', 'dimmer', '80'), sensor('/3305/0/5800', 'power', 0, 62)),
  model('water-meter', 'Aquastat', 'AQ-100', { queueMode: true }, battery, sensor('/3424/0/1', 'cumulated_volume', 120, 9400, 3), sensor('/3323/0/5700', 'pressure', 2, 6, 2)),
  model('air-quality', 'Brisa', 'BR-4', {}, sensor('/3303/0/5700', 'temperature', 8, 31), sensor('/3304/0/5700', 'humidity', 25, 75), sensor('/3325/0/5700', 'co2', 410, 1600, 0)),
  model('charge-point', 'Voltera', 'VT-22', {}, sensor('/3305/0/5800', 'power', 0, 22_000, 0), sensor('/3331/0/5805', 'energy', 0, 64, 2), control('/3312/0/5850', 'relay', '1')),
  model('lift-monitor', 'Ascendo', 'AS-1', {}, sensor('/3313/0/5702', 'acceleration', -2, 2, 2), sensor('/3200/0/5501', 'trips', 0, 90_000, 0), control('/3342/0/5850', 'service_mode', '0')),
  model('soil-probe', 'Terrafield', 'TF-3', { queueMode: true }, battery, sensor('/3303/0/5700', 'temperature', 2, 28), sensor('/3327/0/5700', 'conductivity', 0.1, 3, 2)),
  model('edge-gateway', 'Portalis', 'PG-500', { gateway: true }, sensor('/3320/0/5700', 'load', 0, 100, 0), sensor('/4/0/2', 'signal_strength', -110, -48, 0), control('/26241/0/1', 'restart_policy', 'always'))
]

export const places = [
  'Harbour Road', 'Mill Lane', 'Station Square', 'North Pier', 'Alder Street', 'Kiln Yard', 'Orchard Rise', 'Old Brewery', 'Ferry Point', 'Quarry Hill',
  'Lime Walk', 'Tannery Row', 'Weaver Court', 'Sluice Gate', 'Birch Avenue', 'Lantern Close', 'Marsh End', 'Granary Wharf', 'Chapel Field', 'Dovecote'
] as const
