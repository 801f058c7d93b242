/** The largest `limit` that any list of the API takes; services clamp or refuse what is larger. */
export const largestPage = 1000
export const smallestPage = 2

/** An id or another name in a path. */
const any = '[^/]+'

/**
 * Lists that have no `limit`, so that none is sent: they come in one piece. All others of the API's specification (Swagger of
 * October 2020) take 2 to 1000, whatever their default is; `device-block-categories` accepts it and doesn't heed it. A list that the
 * specification doesn't know is taken to be like the rest.
 */
const unlimited = new RegExp(`^/v3/(?:${[
  `(?:accounts/${any}/)?branding-(?:colors|images)/(?:dark|light)`,
  `(?:accounts/${any}/)?limitations`,
  'manufacturing/statistics',
  `update-campaigns/${any}/statistics(?:/${any}/event_types)?`
].join('|')})/?$`)

/** The `limit` to ask for, `undefined` for a list that has none. `maxItems`: how many are wanted in all. */
export function choosePageSize (canonicalPath: string, maxItems = Infinity): number | undefined {
  if (unlimited.test(canonicalPath)) return undefined
  return Math.max(smallestPage, Math.min(largestPage, maxItems))
}
