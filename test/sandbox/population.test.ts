import { test } from 'tap'
import fc from 'fast-check'
import { makeIdentifiers } from '../../src/sandbox/identifiers.ts'
import { matches } from '../../src/sandbox/filters.ts'
import { readListQuery } from '../../src/sandbox/pagination.ts'
import { Population } from '../../src/sandbox/population.ts'
import type { DeviceData } from '../../src/sandbox/fleet.ts'

const make = (devices: number, seed = 1) => new Population({ devices, seed }, 'account', makeIdentifiers(Date.now))
const read = (query: string) => readListQuery(new URLSearchParams(query))

async function readAll (population: Population, query: string): Promise<DeviceData[]> {
  const devices: DeviceData[] = []
  for (let after: string | undefined; ;) {
    const page = await population.list(read(`${query}${after === undefined ? '' : `&after=${after}`}`))
    devices.push(...page.data)
    if (!page.has_more) return devices
    after = page.data.at(-1)?.id
  }
}

test('has the same fleet for the same seed, and another for another', async t => {
  t.strictSame(make(50).at(7), make(50).at(7))
  t.notSame(make(50).at(7), make(50, 2).at(7))
})

test('has a believable fleet', async t => {
  const devices = await readAll(make(2_000), 'limit=1000')
  const registered = devices.filter(device => device.state === 'registered').length
  t.ok(registered > 1_500 && registered < 1_900, `${registered} registered`)
  t.equal(new Set(devices.map(device => device.name)).size, 2_000)
  t.equal(new Set(devices.map(device => device.endpoint_name)).size, 2_000)
  t.equal(new Set(devices.map(device => device.endpoint_type)).size, 8)
  for (const device of devices) t.ok(/^[0-9a-f]{32}$/.test(device.id) && device.name.length <= 128)
})

test('gives ids that rise and lead back to the device', async t => {
  const population = make(1_000_000)
  const samples = [0, 1, 999, 65_535, 65_536, 500_000, 999_999]
  const ids = samples.map(index => population.fleet.idAt(index))
  t.strictSame([...ids].sort(), ids)
  t.strictSame(ids.map(id => population.fleet.indexOf(id)), samples)
  for (const strange of ['', 'x', ids[1]?.replace(/^0/, '1') ?? '', population.fleet.idAt(1_000_000), 'f'.repeat(32)]) t.equal(population.get(strange), undefined)
})

test('pages through a million devices without holding them', async t => {
  const population = make(1_000_000)
  t.match(await population.list(read('limit=1000&include=total_count')), { total_count: 1_000_000, has_more: true, limit: 1000 })
  const late = population.fleet.idAt(999_499)
  const page = await population.list(read(`limit=1000&after=${late}`))
  t.equal(page.data.length, 500)
  t.equal(page.has_more, false)
  t.equal((await population.list(read(`id__eq=${late}`))).data[0]?.id, late)
})

test('keeps changes, additions and deletions, and pages on after a deleted device', async t => {
  const population = make(3)
  const [first = '', second = '', third = ''] = [0, 1, 2].map(index => population.fleet.idAt(index))
  population.update(first, { name: 'changed' })
  const added = population.create({ name: 'added' })
  t.equal(population.get(first)?.name, 'changed')
  t.ok(population.delete(second))
  t.notOk(population.delete(second))
  t.equal(population.update(second, { name: 'x' }), undefined)
  t.strictSame((await readAll(population, 'limit=2')).map(({ id }) => id), [first, third, added.id])
  t.strictSame((await population.list(read(`limit=2&after=${second}`))).data.map(({ id }) => id), [third, added.id])
  t.strictSame((await readAll(population, 'limit=2&order=DESC')).map(({ id }) => id), [added.id, third, first])
  t.equal(population.count, 3)
  t.ok(population.delete(added.id))
  t.equal(population.get(added.id), undefined)
})

test('lists in pages exactly what a walk over all devices finds', async t => {
  const population = make(40)
  for (const index of [3, 4, 20]) population.delete(population.fleet.idAt(index))
  for (const name of ['a', 'b', 'c']) population.create({ name, state: 'registered' })
  const all = Array.from({ length: 43 }, (_, ordinal) => population.at(ordinal)).filter(device => device !== undefined)
  const filters = fc.constantFrom('', '&state__eq=registered', '&state__neq=registered', '&endpoint_type__in=street-light,soil-probe', `&id__in=${population.fleet.idAt(5)},${population.fleet.idAt(2)},${population.fleet.idAt(3)}`)
  await fc.assert(fc.asyncProperty(filters, fc.constantFrom('ASC', 'DESC'), fc.integer({ min: 2, max: 50 }), fc.boolean(), async (filter, order, limit, count) => {
    const query = `limit=${limit}&order=${order}${filter}${count ? '&include=total_count' : ''}`
    const expected = all.filter(device => matches(device, read(query).filters))
    if (order === 'DESC') expected.reverse()
    t.strictSame((await readAll(population, query)).map(({ id }) => id), expected.map(({ id }) => id), query)
    const { total_count: total } = await population.list(read(query))
    t.equal(total, count ? expected.length : undefined)
  }), { numRuns: 60 })
})
