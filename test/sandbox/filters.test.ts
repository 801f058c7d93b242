import { test } from 'tap'
import { matches, readFilters } from '../../src/sandbox/filters.ts'

const device = {
  name: 'Street light 0001, Mill Lane',
  state: 'registered',
  count: 7,
  operator_suspended: false,
  manifest_timestamp: null,
  groups: ['a1', 'b2'],
  created_at: '2021-03-01T10:00:00.000000Z',
  custom_attributes: { site: 'site-3' }
}

const cases: Array<[query: string, expected: boolean]> = [
  ['', true],
  ['state__eq=registered', true],
  ['state__eq=deregistered', false],
  ['state__neq=registered', false],
  ['state__neq=deregistered', true],
  ['state__in=bootstrapped,registered', true],
  ['state__in=bootstrapped', false],
  ['state__nin=bootstrapped,registered', false],
  ['state__nin=bootstrapped', true],
  ['state__eq=registered&count__eq=8', false],
  ['count__gte=7', true],
  ['count__gte=8', false],
  ['count__lte=7', true],
  ['count__lte=6.5', false],
  ['operator_suspended__eq=false', true],
  ['operator_suspended__neq=false', false],
  ['groups__eq=b2', true],
  ['manifest_timestamp__eq=null', true],
  ['created_at__gte=2021-03-01T10:00:00Z', true],
  ['created_at__gte=2021-03-01T10:00:01Z', false],
  ['created_at__lte=20210301T100000Z', true],
  ['created_at__lte=20210301T095959Z', false],
  ['created_at__eq=2021-03-01T10:00:00Z', true],
  ['created_at__in=20210301T100000Z,2020-01-01', true],
  ['created_at__lte=2021-03-02', true],
  ['missing__eq=x', false],
  ['missing__neq=x', true],
  ['custom_attributes__site=site-3', true],
  ['custom_attributes__site__eq=site-4', false],
  ['custom_attributes__site__neq=site-4', true],
  ['filter=', true],
  ['filter=state%3Dregistered', true],
  ['filter=state%3Dregistered%26count__gte%3D8', false],
  ['filter=name__eq%3DStreet%2520light%25200001%252C%2520Mill%2520Lane', true],
  ['filter=custom_attributes__site%3Dsite-3%26state__nin%3Dunenrolled', true],
  ['filter=custom_attributes__site%3Dsite-9', false],
  ['limit=2&after=x&order=DESC&include=total_count', true],
  ['unknown=1', true],
  ['state__what__eq=1', true]
]

for (const [query, expected] of cases) {
  test(`${expected ? 'finds' : 'passes over'} the device with ?${query}`, async t => {
    t.equal(matches(device, readFilters(new URLSearchParams(query))), expected)
  })
}
