/**
 * What advice costs on the way of a request: node test/bench/advice.ts [seconds]
 *
 * CPU time of one look at a request, by kind of request, as a share of the 60 µs that a proxied request takes in all. Prints one line
 * of JSON for each kind and exits with 1 if one takes 2 % or more.
 */
import { Adviser, type Asked } from '../../src/advice/matcher.ts'

const seconds = Number(process.argv[2] ?? 1)
const requestUs = 60
const id = '0162056a9a1586f30242590700000000'

const kinds: Record<string, string[]> = {
  'no query': ['/v3/accounts/me', `/v3/devices/${id}`, '/v3/devices', `/v2/endpoints/${id}`, '/v3/update-campaigns', '/unknown', `/v3/devices/${id}/logs`],
  list: ['/v3/devices?limit=50', '/v3/devices?limit=1000&order=DESC&include=total_count', `/v3/device-groups?after=${id}&limit=100`],
  filters: ['/v3/devices?filter=state%3Dregistered%26created_at__gte%3D2016-11-30T16%3A25%3A12Z&limit=100', '/v3/devices?state__eq=registered&device_class__in=a,b&limit=100'],
  'device request': [`/v2/device-requests/${id}?async-id=${id}`],
  'with advice': ['/v3/devices?limit=5000', '/v3/devices/sensor-17']
}

function read (target: string): Asked {
  const [canonicalPath = '', query = ''] = target.split('?')
  return { method: canonicalPath.startsWith('/v2/device-requests') ? 'POST' : 'GET', canonicalPath, query, notes: [] }
}

const adviser = new Adviser({ sharesChannel: true })

/** Microseconds of CPU for one request. */
function measure (requests: Asked[], lengthMs: number): number {
  const start = process.cpuUsage()
  const end = performance.now() + lengthMs
  let calls = 0
  let found = 0
  while (performance.now() < end) {
    for (let round = 0; round < 1000; round++) {
      for (const request of requests) found += adviser.advise(request).length
    }
    calls += 1000 * requests.length
  }
  const { user, system } = process.cpuUsage(start)
  if (found < 0) throw new Error('never')
  return (user + system) / calls
}

const all = Object.values(kinds).flat().map(read)
measure(all, 300)
for (const [kind, targets] of Object.entries(kinds)) {
  const us = measure(targets.map(read), seconds * 1000)
  const share = us / requestUs
  console.log(JSON.stringify({ kind, us: Number(us.toFixed(3)), share: `${(share * 100).toFixed(2)} %` }))
  if (share >= 0.02 && kind !== 'with advice') process.exitCode = 1
}
