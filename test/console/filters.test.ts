import t from 'tap'
import { describeCondition, filterFields, listChips, queryOf, readStatus, readView, timeOf, withoutCondition, withStatus, withValue, writeView } from '../../src/console/web/filters.ts'
import { fieldNames } from '../../src/trail/query/fields.ts'

const view = (address: string) => readView(new URLSearchParams(address))
const query = (address: string) => decodeURIComponent(queryOf(view(address)).toString())

t.test('every field of a record can be chosen for a filter, the time apart', async t => {
  t.strictSame([...filterFields].sort(), fieldNames.filter(name => name !== 'started_at').sort())
})

t.test('what stands in the address is what the API is asked for', async t => {
  const cases: Array<[address: string, query: string]> = [
    ['', 'outcome__neq=own'],
    ['range=24h', 'outcome__neq=own'],
    ['open=01a205b25935fef5bff6bad6000000d0', 'outcome__neq=own'],
    ['q=devices', 'q=devices&outcome__neq=own'],
    ['outcome=own', 'outcome=own'],
    ['outcome__in=own,failed', 'outcome__in=own,failed'],
    ['status__gte=500&member=ada', 'status__gte=500&member=ada&outcome__neq=own'],
    ['duration_ms__gte=100&duration_ms__lte=200', 'duration_ms__gte=100&duration_ms__lte=200&outcome__neq=own'],
    ['member=', 'outcome__neq=own'],
    ['started_at__gte=2026-01-02T03:04:05Z&started_at__lte=2026-01-02T03:05:00Z', 'outcome__neq=own&started_at__gte=2026-01-02T03:04:05Z&started_at__lte=2026-01-02T03:05:00Z'],
    ['started_at__gte=nonsense&started_at__lte=2026-01-02T03:05:00Z', 'outcome__neq=own']
  ]
  for (const [address, expected] of cases) t.equal(query(address), expected, address)
})

t.test('the address survives reading and writing', async t => {
  for (const address of ['', 'q=a', 'range=5m', 'status__gte=400&open=01a205b25935fef5bff6bad6000000d0', 'started_at__gte=2026-01-02T03%3A04%3A05Z&started_at__lte=2026-01-02T03%3A05%3A00Z']) {
    t.equal(writeView(view(address)).toString(), address)
  }
  t.equal(writeView(view('range=1h')).toString(), '', 'the usual span goes without saying')
  t.equal(writeView(view('range=toString')).toString(), '', 'a span that is none is the usual one')
})

t.test('takes no id from the address that could lead elsewhere', async t => {
  for (const open of ['../../v3/devices', 'a b c d e f g', '<img src=x>', '']) t.equal(view(`open=${encodeURIComponent(open)}`).open, null, open)
})

t.test('a moving span ends now, a range stands', async t => {
  t.same(timeOf(view('range=15m'), 1_000_000), { fromMs: 100_000, toMs: 1_000_000 })
  t.same(timeOf(view('started_at__gte=1970-01-01T00:00:01Z&started_at__lte=1970-01-01T00:00:02Z'), 9), { fromMs: 1000, toMs: 2000 })
})

t.test('a choice of statuses stands for its filters', async t => {
  for (const choice of ['', 'ok', 'errors', '4xx', '5xx']) t.equal(readStatus(withStatus(view('status=404&q=x'), choice)), choice)
  t.equal(readStatus(view('status=404')), 'other')
  t.equal(readStatus(view('status__lte=499&status__gte=400')), '4xx', 'in any order')
})

t.test('filters without a field of their own are chips that can be removed', async t => {
  const chips = listChips(view('q=x&method=GET&status__gte=500&duration_ms__gte=100&path__eq=%2Fv3'), ['q', 'method'])
  t.same(chips, [{ index: 3, text: 'duration_ms ≥ 100' }, { index: 4, text: 'path = /v3' }])
  t.equal(writeView(withoutCondition(view('q=x&duration_ms__gte=1'), 1)).toString(), 'q=x')
  t.same(listChips(view('status=404'), []), [{ index: 0, text: 'status = 404' }])
  t.equal(describeCondition('member__nin', 'a,b'), 'member not in a,b')
})

t.test('both spellings of equality are one filter', async t => {
  t.equal(writeView(withValue(view('member__eq=ada'), 'member', 'grace')).toString(), 'member=grace')
  t.equal(writeView(withValue(view('member=ada'), 'member', '')).toString(), '')
})
