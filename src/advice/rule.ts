export interface Source { title: string, url: string }

/** What every piece of advice says. */
export interface Advice {
  /** Stable: in the header, the log and the trail's notes. A token of RFC 9651. */
  code: string
  /** What the client reads: printable ASCII, a sentence or two. A constant: nothing of the request is repeated. */
  text: string
  /** Who says so. */
  source: Source
  /** Where it is looked for, for the reference. */
  applies: string
}

/** On a path, whatever the parameters. */
export interface PathRule extends Advice {
  /** Version and service, e.g. `v3/devices`. */
  services: readonly string[]
  /** Default: every method. */
  methods?: readonly string[]
  path: RegExp
  /** Holds only while the proxy doesn't share the notification channel, which gives each member a list of its own. */
  withoutChannel?: true
}

/** Of a parameter that stands in the query. Names and values are decoded. */
export interface ParameterRule extends Advice {
  methods: readonly string[]
  services: readonly string[]
  /**
   * Exact names; or which filters, alone or inside of `filter=`: `created_at__gte` has the field `created_at` and the operator `gte`,
   * `''` without one. Asked once for each name, so it must depend on nothing else.
   */
  names: readonly string[] | ((field: string, operator: string, service: string) => boolean)
  /** Is it worth a word? */
  check (value: string, where: Where): boolean
}

export interface Where {
  service: string
  canonicalPath: string
  operator: string
}

/** On what the guard has noted. */
export interface NoteRule extends Advice {
  /** Same as the note. */
  code: string
}

const docs = 'https://developer.izumanetworks.com/docs/device-management/current'

export const sources = {
  specification: { title: 'The API\'s OpenAPI specification', url: 'https://github.com/PelionIoT/mbed-cloud-sdk-javascript/blob/api-contract/staging/api_specifications/public/pelion_dm_public_openapi.yaml' },
  using: { title: 'Using the APIs', url: `${docs}/service-api-references/using-the-apis.html` },
  events: { title: 'Event notification', url: `${docs}/resources/event-notification.html` },
  accessKeys: { title: 'Application access keys', url: 'https://developer.pelion.com/docs/device-management/current/user-account/application-access-keys.html' }
} as const satisfies Record<string, Source>
