import type { HealthReport, HealthService } from '../decorations.ts'

export interface Overview {
  /** The worst of all parts. */
  state: HealthReport['state']
  /** Every part is ready and no drain has begun. */
  ready: boolean
  draining: boolean
  parts: Record<string, HealthReport>
}

export interface Health extends HealthService {
  overview (): Overview
  /** Tells those who asked by `onQuit`; false if nobody did. */
  quit (): boolean
}

const severity = { ok: 0, degraded: 1, failed: 2 }

/** Collects what the rooms say of themselves, and knows whether the process is on its way out. No clock, no I/O. */
export function createHealth (): Health {
  const reporters = new Map<string, () => HealthReport>()
  const drainListeners = new Set<() => void>()
  const quitListeners: Array<() => void> = []
  let draining = false
  return {
    get draining () { return draining },
    register (name, report) {
      if (reporters.has(name)) throw new Error(`health: ${name} is registered twice`)
      reporters.set(name, report)
    },
    beginDrain () {
      if (draining) return
      draining = true
      for (const listener of drainListeners) listener()
      drainListeners.clear()
    },
    onDrain (listener) {
      if (draining) listener()
      else drainListeners.add(listener)
      return () => { drainListeners.delete(listener) }
    },
    onQuit (listener) { quitListeners.push(listener) },
    quit () {
      for (const listener of quitListeners) listener()
      return quitListeners.length > 0
    },
    overview: () => summarise(reporters, draining)
  }
}

function summarise (reporters: Map<string, () => HealthReport>, draining: boolean): Overview {
  const overview: Overview = { state: 'ok', ready: !draining, draining, parts: {} }
  for (const [name, report] of reporters) {
    const part = ask(report)
    overview.parts[name] = part
    if (!part.ready) overview.ready = false
    if (severity[part.state] > severity[overview.state]) overview.state = part.state
  }
  return overview
}

/** A reporter that throws is itself unwell; its message could hold anything, so it is not shown. */
function ask (report: () => HealthReport): HealthReport {
  try {
    return report()
  } catch {
    return { state: 'failed', ready: false, details: { reason: 'the report itself failed' } }
  }
}

/** Parts that aren't as they should be: what `readyz` names. */
export function failingParts ({ parts }: Overview): Record<string, HealthReport> {
  return Object.fromEntries(Object.entries(parts).filter(([, part]) => !part.ready || part.state !== 'ok'))
}
