import type { Writable } from 'node:stream'

const maxBufferedBytes = 4 * 1024 * 1024

/**
 * Writes lines to a stream whose reader may stall or leave: a log must neither stop the proxy nor fill its memory.
 * What doesn't fit is dropped and counted, and the count is the first line after the reader is back.
 */
export function createLineWriter (stream: Writable): (line: string) => void {
  let dropped = 0
  stream.on('error', () => {})
  stream.on('drain', () => {
    if (dropped === 0) return
    const lost = dropped
    dropped = 0
    stream.write(JSON.stringify({ level: 'warn', time: new Date().toISOString(), dropped: lost, msg: 'log lines were dropped, their reader had stalled' }) + '\n')
  })
  return line => {
    if (stream.writableLength > maxBufferedBytes || stream.destroyed) dropped++
    else stream.write(line)
  }
}
