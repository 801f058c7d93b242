import { createHash } from 'node:crypto'
import { regions } from '../config/regions.ts'
import { rows, type Settings } from '../config/table.ts'
import type { BundleContext } from './bundle.ts'

export function describeContext (settings: Settings, program: { version: string, node: string }): BundleContext {
  return {
    version: program.version,
    node: program.node,
    region: settings.region,
    api: settings.apiHost ?? regions[settings.region],
    configuration: fingerprintSettings(settings)
  }
}

/** Of the settings that are no secrets. */
export function fingerprintSettings (settings: Settings): string {
  const open = rows.filter(([, row]) => !row.sensitive).map(([key, row]) => [row.env, settings[key] ?? null])
  return createHash('sha256').update(JSON.stringify(open)).digest('hex').slice(0, 12)
}
