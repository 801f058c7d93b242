import { sources, type PathRule } from './rule.ts'

const deviceId = '[0-9a-f]{32}'

export const pathRules: readonly PathRule[] = [
  {
    code: 'not_a_device_id',
    text: 'A Device ID has 32 hexadecimal digits; this is a name of another kind. To find a device by its endpoint name (its PSK identity too): GET /v3/devices?endpoint_name__eq=NAME',
    source: sources.specification,
    applies: 'paths that name a device: `/v3/devices/{id}`, `/v2/device-requests/{id}`, `/v2/endpoints/{id}`, `/v2/subscriptions/{id}`',
    services: ['v3/devices', 'v2/device-requests', 'v2/endpoints', 'v2/subscriptions'],
    path: new RegExp(`^/v[23]/[a-z-]+/(?!${deviceId}(?:/|$))[^/]`, 'i')
  },
  {
    code: 'deprecated_resource_request',
    text: '/v2/endpoints/{id}/{resource} is deprecated (end of life: May 2020). POST /v2/device-requests/{id}?async-id=... replaces it and lets the caller choose the id of the answer.',
    source: sources.specification,
    applies: '`/v2/endpoints/{id}/{resource path}`',
    services: ['v2/endpoints'],
    path: /^\/v2\/endpoints\/[^/]+\/./
  },
  {
    code: 'deprecated_long_poll',
    text: 'Long polling is deprecated and meant for development only (end of life: June 2020). Use a WebSocket, or GET /_proxy/notifications for an event stream.',
    source: sources.specification,
    applies: '`/v2/notification/pull`',
    services: ['v2/notification'],
    path: /^\/v2\/notification\/pull\/?$/
  },
  {
    code: 'deprecated_api_key',
    text: 'API keys are deprecated (end of life: August 2021). Use access keys of an application: /v3/applications/{application_id}/access-keys',
    source: sources.accessKeys,
    applies: '`/v3/api-keys`, `/v3/accounts/{id}/api-keys`, `/v3/policy-groups/{id}/api-keys`',
    services: ['v3/api-keys', 'v3/accounts', 'v3/policy-groups'],
    path: /^\/v3\/(?:accounts\/[^/]+\/)?(?:policy-groups\/[^/]+\/)?api-keys(?:\/|$)/
  },
  {
    code: 'deprecated_group_membership',
    text: 'This way to change the members of a policy group is deprecated (end of life: July 2020). POST to the same path with /add or /remove at its end.',
    source: sources.specification,
    applies: 'POST and DELETE on `…/policy-groups/{id}/users` and `…/users/{id}/groups`',
    services: ['v3/users', 'v3/policy-groups', 'v3/accounts'],
    methods: ['POST', 'DELETE'],
    path: /^\/v3\/(?:accounts\/[^/]+\/)?(?:policy-groups\/[^/]+\/users|users\/[^/]+\/groups)\/?$/
  },
  {
    code: 'deprecated_device_log',
    text: '/v3/devicelog is deprecated. /v3/device-events replaces it.',
    source: sources.specification,
    applies: '`/v3/devicelog`',
    services: ['v3/devicelog'],
    path: /^/
  },
  {
    code: 'deprecated_server_credentials',
    text: 'This endpoint is deprecated. GET /v3/server-credentials gives the credentials of both servers.',
    source: sources.specification,
    applies: '`/v3/server-credentials/bootstrap` and `/v3/server-credentials/lwm2m`',
    services: ['v3/server-credentials'],
    path: /^\/v3\/server-credentials\/(?:bootstrap|lwm2m)\/?$/
  },
  {
    code: 'deprecated_campaign_metrics',
    text: 'Campaign metrics are deprecated (end of life: April 2020). GET /v3/update-campaigns/{id}/statistics replaces them.',
    source: sources.specification,
    applies: '`/v3/update-campaigns/{id}/metrics`',
    services: ['v3/update-campaigns'],
    path: /^\/v3\/update-campaigns\/[^/]+\/metrics\/?$/
  },
  {
    code: 'replaces_presubscriptions',
    text: 'This replaces the whole list of pre-subscriptions, which all keys of the application share: entries of others that are not in it are gone. Read it first, and send it back with yours added.',
    source: sources.specification,
    applies: 'PUT and DELETE on `/v2/subscriptions`, while `PROXY_CHANNEL=off`',
    services: ['v2/subscriptions'],
    methods: ['PUT', 'DELETE'],
    path: /^\/v2\/subscriptions\/?$/,
    withoutChannel: true
  },
  {
    code: 'replaces_channel',
    text: 'An application has one notification channel: this changes or deletes it for everybody who uses the application, and deleting it drops the events that wait in it.',
    source: sources.events,
    applies: 'PUT on `/v2/notification/callback`, DELETE on `/v2/notification/callback`, `…/websocket` and `…/pull`, while `PROXY_CHANNEL=off`',
    services: ['v2/notification'],
    methods: ['PUT', 'DELETE'],
    path: /^\/v2\/notification\/(?:callback|websocket|pull)\/?$/,
    withoutChannel: true
  }
]
