import { ExportResultCode, type ExportResult } from '@opentelemetry/core'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'

export interface ExportReport {
  exported: number
  /** Spans the collector didn't take. */
  failed: number
  /** Of the last export. */
  failing: boolean
}

/** Hands spans on, and keeps count of what became of them. */
export class WatchedExporter implements SpanExporter {
  readonly #exporter: SpanExporter
  readonly #report: ExportReport = { exported: 0, failed: 0, failing: false }

  constructor (exporter: SpanExporter) {
    this.#exporter = exporter
  }

  report (): ExportReport { return { ...this.#report } }

  export (spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#exporter.export(spans, result => {
      this.#report.failing = result.code !== ExportResultCode.SUCCESS
      this.#report[this.#report.failing ? 'failed' : 'exported'] += spans.length
      done(result)
    })
  }

  shutdown (): Promise<void> { return this.#exporter.shutdown() }

  async forceFlush (): Promise<void> { await this.#exporter.forceFlush?.() }
}
