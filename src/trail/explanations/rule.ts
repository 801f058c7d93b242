import type { TrailRecord } from '../record.ts'

/** Why a request probably failed, what to do next, and who says so. */
export interface Explanation {
  /** Code of the rule, stable. */
  rule: string
  likely: string
  next: string
  source: { title: string, url: string }
}

/** All that is given must fit; a record is explained by the first rule that does. */
export interface Rule extends Omit<Explanation, 'rule'> {
  rule: string
  status?: number[]
  /** `type` of the error body, or the plain string of a v2 service. */
  type?: string[]
  path?: RegExp
  query?: RegExp
  closeCode?: number[]
  asyncStatus?: number[]
  outcome?: Array<TrailRecord['outcome']>
}

const docs = 'https://developer.izumanetworks.com/docs/device-management/current'
export const sources = {
  troubleshooting: { title: 'Troubleshooting the APIs', url: `${docs}/service-api-references/troubleshooting-the-apis.html` },
  using: { title: 'Using the APIs', url: `${docs}/service-api-references/using-the-apis.html` },
  events: { title: 'Event notification', url: `${docs}/resources/event-notification.html` },
  specification: { title: 'The API\'s OpenAPI specification', url: 'https://github.com/PelionIoT/mbed-cloud-sdk-javascript/blob/api-contract/staging/api_specifications/public/pelion_dm_public_openapi.yaml' },
  reference: { title: 'Error types of izuma-proxy', url: 'config/README.md' }
}
