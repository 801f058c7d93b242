import type { Writable } from 'node:stream'

const maxBufferedBytes = 4 * 1024 * 1024

/**
 * Writes lines to a stream, those of one turn of the event loop by one call: one for each would be a tenth of what a request
 * costs. The stream's reader may stall or leave, and a log must neither stop the proxy nor fill its memory: what doesn't fit
 * is dropped and counted, and the count is the first line after the reader is back.
 */
export function createLineWriter (stream: Writable): (line: string) => void {
  let pending = ''
  let dropped = 0
  stream.on('error', () => {})
  stream.on('drain', () => {
    if (dropped === 0) return
    const lost = dropped
    dropped = 0
    stream.write(JSON.stringify({ level: 'warn', time: new Date().toISOString(), dropped: lost, msg: 'log lines were dropped, their reader had stalled' }) + '\n')
  })
  function flush (): void {
    const lines = pending
    pending = ''
    if (!stream.destroyed) stream.write(lines)
  }
  return line => {
    if (stream.writableLength + pending.length > maxBufferedBytes || stream.destroyed) dropped++
    else {
      if (pending === '') setImmediate(flush)
      pending += line
    }
  }
}
