/** A table in Markdown. */
export function table (head: string[], rows: Array<Array<string | number>>): string {
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

/** Of an even number the mean of the two in the middle. */
export function median (values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]]
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2
}

export function percentile (values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** A bar as long as the share, for a plot in text. */
export function bar (share: number): string {
  return '█'.repeat(Math.max(0, Math.round(share * 20)))
}
