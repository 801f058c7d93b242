import type { Test } from 'tap'
import type { TrailRecord } from '../../src/trail/record.ts'
import { startApi, type TestApi } from './api-server.ts'
import type { RawCase } from './attack-cases.ts'
import { sendRaw, type RawAnswer } from './guarded-app.ts'
import { makeAccessKey, startProxy, type StartedProxy } from './proxy.ts'

export interface Attacked {
  api: TestApi
  proxy: StartedProxy
  accessKey: string
  /** Sends bytes; `reached` is what upstream got of them. */
  attack (bytes: string | string[]): Promise<RawAnswer & { reached: TestApi['seen'] }>
  /** The trail, once it has a row for each of so many requests. */
  rows (count: number): Promise<TrailRecord[]>
}

/** The whole product over an API that answers everything, and keeps what reached it. */
export async function startAttacked (t: Test, flags: Record<string, string> = {}): Promise<Attacked> {
  const accessKey = makeAccessKey()
  const api = await startApi(t, (_request, response) => { response.setHeader('Content-Type', 'application/json').end('{"object":"list"}') })
  const proxy = await startProxy(t, { api, accessKey, flags })
  const attack = async (bytes: string | string[]) => {
    const before = api.seen.length
    const answer = await sendRaw(proxy.port, bytes, { quietMs: 80 })
    return { ...answer, reached: api.seen.slice(before) }
  }
  return { api, proxy, accessKey, attack, rows: count => proxy.trail(rows => rows.length >= count) }
}

/** What upstream may get of a request that was let in: one Host, and it is the API's; one Authorization, and it is ours; one framing. */
export function checkForwarded (t: Test, { api, accessKey }: Attacked, { rawHeaders }: TestApi['seen'][number], title: string): void {
  t.same(valuesOf(rawHeaders, 'host'), [`127.0.0.1:${api.port}`], `${title}: one Host`)
  t.same(valuesOf(rawHeaders, 'authorization'), [`Bearer ${accessKey}`], `${title}: one Authorization`)
  t.ok(valuesOf(rawHeaders, 'content-length').length + valuesOf(rawHeaders, 'transfer-encoding').length <= 1, `${title}: one framing`)
}

export function valuesOf (rawHeaders: string[], name: string): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name)
}

/** Sends each case and checks verdict, what reached upstream, and that the trail has exactly one row for each. */
export async function checkCases (t: Test, attacked: Attacked, cases: RawCase[]): Promise<void> {
  for (const { title, bytes, verdict } of cases) {
    const { status, closed, reached } = await attacked.attack(bytes)
    if (verdict === 'in') {
      t.equal(status, 200, `lets in: ${title}`)
      t.equal(reached.length, 1, title)
      checkForwarded(t, attacked, reached[0] ?? { method: '', url: '', rawHeaders: [] }, title)
    } else {
      t.ok((status >= 400 && status < 500) || status === 505, `refuses: ${title} (${status})`)
      t.ok(closed, `${title}: closes`)
      t.equal(reached.length, 0, `${title}: nothing reaches upstream`)
    }
  }
  const rows = await attacked.rows(cases.length)
  t.equal(rows.length, cases.length, 'one row each')
  t.equal(rows.filter(row => row.attempts > 0).length, attacked.api.seen.length, 'as many rows with an attempt as upstream saw requests')
}
