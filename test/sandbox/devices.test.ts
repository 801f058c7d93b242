import { test } from 'tap'
import { setUpSandbox } from '../support/sandbox-client.ts'

test('lists devices in pages, to the end', async t => {
  const { ask } = await setUpSandbox(t, { devices: 120 })
  const ids: string[] = []
  for (let after = ''; ;) {
    const { json } = await ask(`/v3/devices?limit=50&include=total_count${after}`)
    t.equal(json.total_count, 120)
    ids.push(...json.data.map((device: { id: string }) => device.id))
    if (!json.has_more) break
    after = `&after=${ids.at(-1)}`
  }
  t.equal(ids.length, 120)
  t.strictSame(ids, [...new Set(ids)].sort())
})

test('filters with parameters and with an encoded filter alike', async t => {
  const { ask } = await setUpSandbox(t, { devices: 200 })
  const plain = await ask('/v3/devices?limit=1000&state__eq=deregistered')
  const encoded = await ask('/v3/devices/?limit=1000&filter=state%3Dderegistered')
  t.ok(plain.json.data.length > 5)
  t.strictSame(encoded.json.data, plain.json.data)
  t.ok(plain.json.data.every((device: { state: string }) => device.state === 'deregistered'))
})

test('makes, shows, changes and deletes a device', async t => {
  const { ask } = await setUpSandbox(t)
  const made = await ask('/v3/devices', { method: 'POST', body: JSON.stringify({ name: 'mine', endpoint_name: 'mine-1', id: 'ignored', account_id: 'ignored' }) })
  t.match(made, { status: 201, json: { object: 'device', name: 'mine', endpoint_name: 'mine-1', state: 'unenrolled' } })
  t.match(made.json.id, /^[0-9a-f]{32}$/)
  const path = `/v3/devices/${made.json.id}/`
  t.match(await ask(path), { status: 200, json: { id: made.json.id, name: 'mine' } })
  const changed = await ask(path, { method: 'PUT', body: JSON.stringify({ description: 'Testing', endpoint_name: 'other', custom_attributes: { a: 'b' } }) })
  t.match(changed, { status: 200, json: { description: 'Testing', endpoint_name: 'mine-1', custom_attributes: { a: 'b' } } })
  t.equal((await ask(path, { method: 'DELETE' })).status, 204)
  t.match(await ask(path), { status: 404, json: { type: 'not_found', code: 404 } })
  t.match(await ask(path, { method: 'DELETE' }), { status: 404 })
})

test('names the fields that are wrong', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const id = sandbox.devices.at(0)?.id
  const answer = await ask(`/v3/devices/${id}`, { method: 'PUT', body: JSON.stringify({ name: 'n'.repeat(129), description: 7, custom_attributes: [] }) })
  t.equal(answer.status, 400)
  t.match(answer.json, { type: 'validation_error', message: 'One of the request fields has failed validation.' })
  t.strictSame(answer.json.fields.map((field: { name: string }) => field.name), ['name', 'description', 'custom_attributes'])
})

test('suspends a device and lets it back', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const id = sandbox.devices.at(0)?.id ?? ''
  t.equal((await ask(`/v3/devices/${id}/suspend`, { method: 'POST', body: '{"category":"maintenance","description":"x"}' })).status, 204)
  t.match(sandbox.devices.get(id), { lifecycle_status: 'blocked', operator_suspended: true, last_operator_suspended_category: 'maintenance' })
  t.equal((await ask(`/v3/devices/${id}/resume`, { method: 'POST', body: '{}' })).status, 204)
  t.match(sandbox.devices.get(id), { lifecycle_status: 'enabled', operator_suspended: false })
})

test('keeps groups and who is in them', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const { json: { data: [pilot] } } = await ask('/v3/device-groups/')
  t.match(pilot, { object: 'device-group', name: 'Pilot site', devices_count: 5 })
  const made = await ask('/v3/device-groups', { method: 'POST', body: '{"name":"New","description":"d"}' })
  t.equal(made.status, 201)
  t.equal(made.headers.location, `${sandbox.origin}/v3/device-groups/${made.json.id}`)
  t.match(await ask('/v3/device-groups', { method: 'POST', body: '{"name":"New"}' }), { status: 409, json: { type: 'duplicate' } })
  t.match(await ask('/v3/device-groups', { method: 'POST', body: '{}' }), { status: 400, json: { fields: [{ name: 'name' }] } })

  const id = sandbox.devices.at(0)?.id ?? ''
  const group = `/v3/device-groups/${made.json.id}`
  t.equal((await ask(`${group}/devices/add/`, { method: 'POST', body: JSON.stringify({ device_id: id }) })).status, 204)
  t.match(await ask(`${group}/devices/add/`, { method: 'POST', body: '{"device_id":"none"}' }), { status: 400, json: { fields: [{ name: 'device_id' }] } })
  t.match((await ask(group)).json, { devices_count: 1 })
  t.strictSame((await ask(`${group}/devices`)).json.data.map((device: { id: string }) => device.id), [id])
  t.strictSame(sandbox.devices.get(id)?.['groups'], [pilot.id, made.json.id])
  t.strictSame((await ask(`/v3/devices?filter=groups__eq%3D${made.json.id}`)).json.data.length, 1)
  t.equal((await ask(group, { method: 'DELETE' })).status, 204)
  t.strictSame(sandbox.devices.get(id)?.['groups'], [pilot.id])
  t.equal((await ask(`${group}/devices`)).status, 404)
})

test('shows the last known values of a device', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const device = sandbox.devices.at(3)
  const { json } = await ask(`/v3/devices/${device?.id}/echo`)
  t.match(json, { object: 'device-echo', device_id: device?.id })
  t.ok(json.resources.some((resource: { resource_path: string }) => resource.resource_path === '/3/0/0'))
})

test('answers others while it looks through a large fleet', async t => {
  const { ask } = await setUpSandbox(t, { devices: 100_000 })
  const scan = ask('/v3/devices?limit=2&endpoint_name__eq=nobody')
  const order: string[] = []
  scan.then(() => order.push('scan'), () => {})
  t.equal((await ask('/v3/accounts/me').finally(() => order.push('quick'))).status, 200)
  t.strictSame(order, ['quick'])
  t.strictSame((await scan).json.data, [])
})
