import fastifyPlugin from 'fastify-plugin'
import { Secret } from '../../src/access-key/secret.ts'
import type { MemberSummary } from '../../src/decorations.ts'
import drainPlugin from '../../src/ops/drain-plugin.ts'
import metricsPlugin from '../../src/ops/metrics-plugin.ts'
import type { OpenEntry } from '../../src/trail/record.ts'
import { makeEntry } from './entry.ts'
import { buildOpsApp, program } from './ops-app.ts'

export const ada: MemberSummary = { name: 'ada', role: 'admin', lastSeen: null, requestsToday: 7, refusedToday: 1, daily: 100, open: 2, concurrency: null }

/** The metrics over rooms that only say what the test wants: what is counted here is not what they do. */
export async function buildMetered (members: MemberSummary[] = [ada]) {
  const app = await buildOpsApp({ environment: { PROXY_HEALTH_LISTEN: '127.0.0.1:0' } })
  const closed: Array<(entry: OpenEntry) => void> = []
  let key: Secret | undefined = new Secret('the secret of this test')
  const onChange: Array<() => void> = []
  const room = (name: string, decoration: string, value: unknown) => app.register(fastifyPlugin(async instance => { instance.decorate(decoration, value as never) }, { name }))
  await room('trail', 'trail', { onClosed: (listener: (entry: OpenEntry) => void) => closed.push(listener) })
  await room('access-key', 'accessKey', { current: () => key, onChange: (listener: () => void) => onChange.push(listener) })
  await room('team', 'team', { list: () => members })
  await room('upstream', 'upstream', { origin: 'https://api.example', region: 'us-east-1' })
  await app.register(drainPlugin)
  await app.register(metricsPlugin, { program })
  return {
    app,
    close: (facts: Partial<OpenEntry>) => { for (const listener of closed) listener(makeEntry(facts)) },
    changeKey: (to: Secret | undefined) => { key = to; for (const listener of onChange) listener() }
  }
}

/** The names of all metrics, with or without samples. */
export async function listMetrics (): Promise<Set<string>> {
  const { app } = await buildMetered()
  const { body } = await app.inject('/_proxy/metrics')
  await app.close()
  return new Set([...body.matchAll(/^# HELP (\S+)/gm)].map(([, name = '']) => name))
}
