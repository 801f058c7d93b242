import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import UPlot from 'uplot'
import type { Bucket, Series } from './answers.ts'
import { formatCount, formatDay, formatDuration, formatRate, formatTime } from './format.ts'

export interface Line {
  label: string
  /** Custom property of the style sheet that holds the colour. */
  color: string
  fill?: boolean
  bars?: boolean
  values: Array<number | null>
  /** Text of the value at one place, or of the whole. */
  at: (index: number) => string
  total: string
}

interface PlotData { title: string, unit: 'rate' | 'ms' | 'count', lines: Line[] }

/** Seconds since 1970, as uPlot has them. */
const timesOf = ({ buckets }: Series): number[] => buckets.map(({ at }) => Date.parse(at) / 1000)

function makePlots (series: Series, nowMs: number): PlotData[] {
  const { buckets, total } = series
  // The newest bucket is not over yet: a rate over all of its length would always sink at the end.
  const seconds = buckets.map(({ at }) => Math.min(series.interval_ms, Math.max(1000, nowMs - Date.parse(at))) / 1000)
  const allSeconds = Math.max(1, (Math.min(Date.parse(series.to), nowMs) - Date.parse(series.from)) / 1000)
  const rates = buckets.map(({ count }, index) => count / (seconds[index] ?? 1))
  const bad = (bucket: Omit<Bucket, 'at'>): number => bucket.errors - bucket.status['4xx']
  const latency = (label: string, color: string, field: 'p50_ms' | 'p95_ms' | 'p99_ms'): Line => ({
    label, color, values: buckets.map(bucket => bucket[field]), at: index => formatDuration(buckets[index]?.[field]), total: formatDuration(total[field])
  })
  const count = (label: string, color: string, read: (bucket: Omit<Bucket, 'at'>) => number, drawn = read): Line => ({
    label, color, bars: true, values: buckets.map(drawn), at: index => formatCount(read(buckets[index] ?? total)), total: formatCount(read(total))
  })
  return [
    { title: 'Requests', unit: 'rate', lines: [{ label: 'per second', color: '--accent', fill: true, values: rates, at: index => `${formatRate(rates[index] ?? 0)} · ${formatCount(buckets[index]?.count ?? 0)}`, total: `${formatRate(total.count / allSeconds)} · ${formatCount(total.count)}` }] },
    { title: 'Latency', unit: 'ms', lines: [latency('p50', '--good', 'p50_ms'), latency('p95', '--accent', 'p95_ms'), latency('p99', '--warn', 'p99_ms')] },
    // The one behind is as high as both together.
    { title: 'Errors', unit: 'count', lines: [count('4xx', '--warn', bucket => bucket.status['4xx'], bucket => bucket.errors), count('5xx, none', '--bad', bad)] }
  ]
}

const axisText: Record<PlotData['unit'], (value: number) => string> = {
  rate: value => value >= 1000 ? `${value / 1000}k/s` : `${value}/s`,
  ms: value => value >= 1000 ? `${value / 1000} s` : `${value} ms`,
  count: value => value >= 1000 ? `${value / 1000}k` : String(value)
}

/** As high as an axis is at least, in its unit. */
const leastTop: Record<PlotData['unit'], number> = { rate: 0.1, ms: 10, count: 1 }
const wholeSteps = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map(step => step * 10 ** power)).flat()

function formatTick (time: number, step: number): string {
  const text = new Date(time * 1000).toISOString()
  if (step >= 86_400) return formatDay(text).slice(5)
  return formatTime(text).slice(0, step < 60 ? 8 : 5)
}

interface PlotsProps { series: Series | undefined, onSelect: (fromMs: number, toMs: number) => void, onReset: () => void }

/** Throughput, latency and errors over the time shown. Dragging selects a time range, a double click goes back. */
export function Plots ({ series, onSelect, onReset }: PlotsProps) {
  const [index, setIndex] = useState<number | null>(null)
  const plots = useMemo(() => series === undefined ? [] : makePlots(series, Date.now()), [series])
  const times = useMemo(() => series === undefined ? [] : timesOf(series), [series])
  const at = index === null ? undefined : series?.buckets[index]?.at
  return (
    <section class='plots' aria-label='Over time'>
      {plots.map(plot => (
        <figure key={plot.title}>
          <figcaption>
            <b>{plot.title}</b>
            {plot.lines.map(line => (
              <span key={line.label} class='legend'><i class={`mark ${line.color.slice(2)}`} />{line.label} <em>{index === null ? line.total : line.at(index)}</em></span>
            ))}
            {at !== undefined && <time>{formatTime(at).slice(0, 8)}</time>}
          </figcaption>
          <Plot plot={plot} times={times} onIndex={setIndex} onSelect={onSelect} onReset={onReset} />
        </figure>
      ))}
    </section>
  )
}

interface PlotProps extends Omit<PlotsProps, 'series'> { plot: PlotData, times: number[], onIndex: (index: number | null) => void }

function Plot ({ plot, times, onIndex, onSelect, onReset }: PlotProps) {
  const place = useRef<HTMLDivElement>(null)
  const drawn = useRef<UPlot | null>(null)
  const handlers = useRef({ onIndex, onSelect, onReset })
  handlers.current = { onIndex, onSelect, onReset }
  const data: UPlot.AlignedData = [times, ...plot.lines.map(line => line.values)]
  const latest = useRef(data)
  latest.current = data

  useEffect(() => {
    const element = place.current as HTMLDivElement
    const make = (): void => {
      drawn.current?.destroy()
      drawn.current = new UPlot(describePlot(plot, element, handlers), latest.current, element)
    }
    make()
    const dark = matchMedia('(prefers-color-scheme: dark)')
    dark.addEventListener('change', make)
    const sizes = new ResizeObserver(() => drawn.current?.setSize(sizeOf(element)))
    sizes.observe(element)
    return () => {
      dark.removeEventListener('change', make)
      sizes.disconnect()
      drawn.current?.destroy()
      drawn.current = null
    }
  }, [])
  useEffect(() => { drawn.current?.setData(data) }, [times])

  const said = `${plot.title} over time: ${plot.lines.map(line => `${line.label} ${line.total}`).join(', ')}`
  return <div class='plot' ref={place} role='img' aria-label={said} />
}

function sizeOf (element: HTMLElement): { width: number, height: number } {
  return { width: Math.max(80, element.clientWidth), height: Math.max(40, element.clientHeight) }
}

function describePlot ({ unit, lines }: PlotData, element: HTMLElement, handlers: { current: Pick<PlotProps, 'onIndex' | 'onSelect' | 'onReset'> }): UPlot.Options {
  const style = getComputedStyle(element)
  const color = (name: string): string => style.getPropertyValue(name).trim()
  const axis: UPlot.Axis = { stroke: color('--muted'), font: '11px system-ui, sans-serif', grid: { stroke: color('--line'), width: 1 }, ticks: { show: false } }
  const bars = UPlot.paths.bars?.({ size: [0.8, 12] })
  return {
    ...sizeOf(element),
    padding: [6, 16, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 5 }, drag: { x: true, y: false, setScale: false, dist: 4 }, sync: { key: 'time', filters: { pub: type => type === 'mousemove' || type === 'mouseleave' } }, bind: { dblclick: () => () => { handlers.current.onReset(); return null } } },
    scales: { y: { range: (_plot, _least, most) => [0, Math.max(most * 1.1, leastTop[unit])] } },
    axes: [
      { ...axis, size: 20, gap: 4, space: 52, values: (_plot, times, _axis, _space, step) => times.map(time => formatTick(time, step)) },
      { ...axis, size: 46, gap: 4, space: 20, ...unit === 'count' && { incrs: wholeSteps }, values: (_plot, values) => values.map(axisText[unit]) }
    ],
    series: [{}, ...lines.map((line): UPlot.Series => ({
      label: line.label,
      stroke: color(line.color),
      width: line.bars ? 0 : 1.5,
      points: { show: !line.bars && lines.length > 1, size: 3, fill: color(line.color) },
      ...((line.fill || line.bars) && { fill: line.bars ? color(line.color) : `${color(line.color)}22` }),
      ...(line.bars && bars && { paths: bars })
    }))],
    hooks: {
      setCursor: [plot => handlers.current.onIndex(plot.cursor.idx ?? null)],
      setSelect: [plot => {
        if (plot.select.width < 4) return
        const [from, to] = [plot.posToVal(plot.select.left, 'x'), plot.posToVal(plot.select.left + plot.select.width, 'x')]
        plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
        handlers.current.onSelect(from * 1000, to * 1000)
      }]
    }
  }
}
