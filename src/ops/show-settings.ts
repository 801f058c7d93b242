import { isDeepStrictEqual } from 'node:util'
import * as kinds from '../config/kinds.ts'
import { rows, type Row, type Settings } from '../config/table.ts'

/** Every setting by its variable's name, as a user would write it; of a sensitive one only whether it is set. */
export function showSettings (settings: Settings): Record<string, string | null> {
  return Object.fromEntries(rows.map(([key, row]) => [row.env, showSetting(row, settings[key])]))
}

function showSetting (row: Row, value: unknown): string | null {
  if (row.sensitive) return isSet(row, value) ? 'set (not shown)' : row.default ?? null
  if (value === undefined) return row.default ?? null
  return write(row, value)
}

function isSet (row: Row, value: unknown): boolean {
  return value !== undefined && !(row.default !== undefined && isDeepStrictEqual(row.kind.decode(row.default), value))
}

function write ({ kind }: Row, value: unknown): string {
  if (kind === kinds.duration) return writeUnits(value as number, [['d', 86_400_000], ['h', 3_600_000], ['m', 60_000], ['s', 1000], ['ms', 1]])
  if (kind === kinds.size) return writeUnits(value as number, [['GiB', 1024 ** 3], ['MiB', 1024 ** 2], ['KiB', 1024], ['B', 1]])
  if (kind === kinds.listenAddress) return writeAddress(value as kinds.ListenAddress)
  return String(value)
}

/** In the largest unit that divides it. */
function writeUnits (value: number, units: Array<[string, number]>): string {
  const [unit, factor] = units.find(([, size]) => value % size === 0) ?? ['', 1]
  return `${value / factor}${unit}`
}

export function writeAddress (address: kinds.ListenAddress): string {
  if ('socketPath' in address) return `unix:${address.socketPath}`
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}
