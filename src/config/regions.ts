/**
 * The API hosts by region. The vendor's gateway table has one row today
 * (https://developer.izumanetworks.com/docs/device-management/current/service-api-references/using-the-apis.html);
 * for a private deployment set IZUMA_API_HOST.
 */
export const regions = {
  'us-east-1': 'https://api.us-east-1.mbedcloud.com'
} as const

export type Region = keyof typeof regions
export const regionNames = Object.keys(regions) as Region[]
