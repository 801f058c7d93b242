import type { Metric, Registry } from 'prom-client'

export interface Sample {
  labels?: Record<string, string>
  value: number
  /** Ending of the name, for the parts of a histogram. */
  suffix?: '_bucket' | '_sum' | '_count'
}

/** A metric whose samples are made when it is scraped, from numbers that are kept elsewhere anyway. */
export interface MetricFamily {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  collect (): Sample[]
}

/** Begins the name of every metric of ours. */
export const prefix = 'izuma_proxy_'

/** A registry asks its metrics for `get()`; that is all it needs of one. */
export function registerFamily (registry: Registry, { name, help, type, collect }: MetricFamily): void {
  const metric = {
    name,
    get: async () => ({
      name,
      help,
      type,
      aggregator: 'sum',
      values: collect().map(({ labels = {}, value, suffix }) => ({ labels, value, ...(suffix && { metricName: name + suffix }) }))
    })
  }
  registry.registerMetric(metric as unknown as Metric)
}
