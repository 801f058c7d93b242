import { performance, type EventLoopUtilization } from 'node:perf_hooks'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const lookIntervalMs = 5_000
/** A burst every half minute must find its memory where it left it: getting it back takes a tenth of the time of the requests. */
const patienceMs = 60_000
/** Share of the time for which the event loop did something, below which the proxy has nothing to do. */
const idleUtilization = 0.02
/** What has to be there to be given back, of the main thread's some 30 MB. */
const usuallyWorthwhileBytes = 16 * 1024 * 1024

export interface Engine {
  /** Since the last call: the share of time in which the event loop was busy, 0–1. */
  utilization (): number
  /** What the heap holds of the system's memory. */
  heldBytes (): number
  /** All garbage, and the memory it was in, at once: some 100 ms after a busy time. */
  collect (): void
  nowMs (): number
}

/**
 * V8 collects when it allocates, and so it keeps what a busy time took for as long as nothing happens: 60 MB here. This has it collect and
 * give back: what the start took as soon as nothing happens, what a busy time did after a minute of nothing.
 */
export class IdleCollector {
  readonly #engine: Engine
  readonly #worthwhileBytes: number
  #keptBytes = 0
  /** Since when nothing happens. */
  #idleSince: number | undefined
  #collected = false

  constructor (engine: Engine, worthwhileBytes = usuallyWorthwhileBytes) {
    this.#engine = engine
    this.#worthwhileBytes = worthwhileBytes
  }

  /** To be called every few seconds. */
  look (): void {
    const nowMs = this.#engine.nowMs()
    if (this.#engine.utilization() >= idleUtilization) {
      this.#idleSince = undefined
      return
    }
    this.#idleSince ??= nowMs
    if (this.#collected && nowMs - this.#idleSince < patienceMs) return
    if (this.#engine.heldBytes() - this.#keptBytes < this.#worthwhileBytes) return
    this.#engine.collect()
    this.#keptBytes = this.#engine.heldBytes()
    this.#collected = true
  }
}

/** For the thread that calls it. Gives a function that ends it. */
export function collectWhenIdle (worthwhileBytes?: number): () => void {
  const collector = new IdleCollector(openEngine(), worthwhileBytes)
  const timer = setInterval(() => { collector.look() }, lookIntervalMs).unref()
  return () => { clearInterval(timer) }
}

type Collect = (options: object) => void

/** Node offers the collector to programs under a flag only, which may be set at any time. `undefined`: another thread has just unset it. */
function loadCollector (): Collect | undefined {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('globalThis.gc') as Collect | undefined
  setFlagsFromString('--no-expose-gc')
  return collect
}

export function openEngine (): Engine {
  let collect: Collect | undefined
  let last: EventLoopUtilization = performance.eventLoopUtilization()
  return {
    utilization () {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, last)
      last = now
      return utilization
    },
    heldBytes: () => getHeapStatistics().total_physical_size,
    // The ordinary flavor keeps the emptied pages for later.
    collect: () => { (collect ??= loadCollector())?.({ type: 'major', execution: 'sync', flavor: 'last-resort' }) },
    nowMs: () => performance.now()
  }
}
