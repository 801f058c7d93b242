import { createHash } from 'node:crypto'
import { regions } from '../config/regions.ts'
import { rows, type Settings } from '../config/table.ts'

/** A proxy as it was when it handled a request. Nothing in it is secret. */
export interface ProxyContext {
  version: string
  node: string
  region: string
  /** Origin of the API. */
  api: string
  /** Of the settings, without secrets: tells whether two proxies had the same configuration. */
  configuration: string
  /** By variable, as text: what isn't the default. `null` for whoever may not see it. */
  settings: Record<string, string> | null
}

/** The context of one process: `id` are the last twelve digits of the ids it gave. */
export interface KnownProxy extends ProxyContext { id: string }

/** `shown`: every setting by its variable, as it may be shown. */
export function describeContext (settings: Settings, program: { version: string, node: string }, shown: Record<string, string | null>): ProxyContext {
  const usual = Object.fromEntries(rows.map(([, { env, default: text }]) => [env, text]))
  return {
    version: program.version,
    node: program.node,
    region: settings.region,
    api: settings.apiHost ?? regions[settings.region],
    configuration: fingerprintSettings(settings),
    settings: Object.fromEntries(Object.entries(shown).filter((entry): entry is [string, string] => entry[1] !== null && entry[1] !== usual[entry[0]]))
  }
}

/** Of the settings that are no secrets. */
export function fingerprintSettings (settings: Settings): string {
  const open = rows.filter(([, row]) => !row.sensitive).map(([key, row]) => [row.env, settings[key] ?? null])
  return createHash('sha256').update(JSON.stringify(open)).digest('hex').slice(0, 12)
}
