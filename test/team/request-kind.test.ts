import { test } from 'tap'
import { classify } from '../../src/team/request-kind.ts'
import type { Kind } from '../../src/team/limits.ts'

test('what a request takes up, told from its head', async t => {
  const events = { accept: 'application/json, text/event-stream' }
  const table: Array<[kind: Kind, method: string, path: string, headers?: Record<string, string>]> = [
    ['request', 'GET', '/v3/devices'],
    ['request', 'GET', '/v3/devices', events],
    ['request', 'DELETE', '/v2/notification/pull'],
    ['request', 'GET', '/v2/notification/pulls'],
    ['longPoll', 'GET', '/v2/notification/pull'],
    ['longPoll', 'GET', '/v2/notification/pull/'],
    ['longPoll', 'GET', '/V2/Notification/PULL'],
    ['webSocket', 'GET', '/v3/devices/1/console', { upgrade: 'WebSocket' }],
    ['webSocket', 'GET', '/_proxy/notifications'],
    ['webSocket', 'GET', '/_proxy/trail', events],
    ['own', 'GET', '/_proxy/trail'],
    ['own', 'GET', '/_proxy/pages/v3/devices']
  ]
  for (const [kind, method, path, headers = {}] of table) t.equal(classify(method, path, headers), kind, `${method} ${path} ${JSON.stringify(headers)}`)
})
