import type { FastifyInstance } from 'fastify'
import { prefix, type MetricFamily } from './metric-family.ts'

/** Which key is in use and since when; its value is nowhere near. */
export function keyMetrics ({ accessKey }: Pick<FastifyInstance, 'accessKey'>, now: () => number = Date.now): MetricFamily[] {
  let loadedAtMs = now()
  let changes = 0
  accessKey.onChange(() => {
    loadedAtMs = now()
    changes++
  })
  const ifPresent = (value: () => number) => () => accessKey.current() === undefined ? [] : [{ value: value() }]
  return [
    {
      name: `${prefix}access_key_info`,
      help: 'Fingerprint of the access key in use. None: there is no key.',
      type: 'gauge',
      collect: () => {
        const key = accessKey.current()
        return key === undefined ? [] : [{ labels: { fingerprint: key.fingerprint }, value: 1 }]
      }
    },
    { name: `${prefix}access_key_loaded_timestamp_seconds`, help: 'When the key in use was taken up (by this process).', type: 'gauge', collect: ifPresent(() => loadedAtMs / 1000) },
    { name: `${prefix}access_key_changes_total`, help: 'Times the key changed.', type: 'counter', collect: () => [{ value: changes }] }
  ]
}
