import { closeSync, mkdirSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { decodeLine } from './lines.ts'

/**
 * A journal is a folder of segments, numbered in the order they were begun. The number, not the clock, is their order.
 * The newest is never deleted, so that the numbers go on from run to run.
 */
const namePattern = /^([0-9]{12})\.ndjson$/

export function segmentPath (folder: string, number: number): string {
  return join(folder, `${String(number).padStart(12, '0')}.ndjson`)
}

/** For the owner alone. Not `recursive` at once: on a read-only disk that says ENOENT, which helps nobody. */
export function makeFolder (folder: string, mkdir: typeof mkdirSync = mkdirSync): void {
  try {
    mkdir(folder, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') mkdir(folder, { recursive: true, mode: 0o700 })
    else if (code !== 'EEXIST' || !statSync(folder).isDirectory()) throw error
  }
}

/** Ascending. Empty when the folder isn't there yet. */
export function listSegments (folder: string): number[] {
  return readFolder(folder).flatMap(name => namePattern.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b)
}

function readFolder (folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Bytes on the journal from a place on: what isn't stored yet. */
export function measureSegments (folder: string, from: { segment: number, bytes: number } | undefined): number {
  let bytes = 0
  for (const number of listSegments(folder)) {
    if (number < (from?.segment ?? 0)) continue
    const { size } = statSync(segmentPath(folder, number), { throwIfNoEntry: false }) ?? { size: 0 }
    bytes += number === from?.segment ? Math.max(0, size - from.bytes) : size
  }
  return bytes
}

/** The id that the newest readable segment carries in its first line. */
export function findJournalId (folder: string, segments: number[]): string | undefined {
  for (const number of segments.toReversed()) {
    const header = decodeLine(readFirstLine(segmentPath(folder, number)))
    if (header?.kind === 'header') return header.journalId
  }
  return undefined
}

function readFirstLine (path: string): string {
  const fd = openSync(path, 'r')
  try {
    const buffer = Buffer.alloc(256)
    return buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, 0)).split('\n', 1)[0] ?? ''
  } finally {
    closeSync(fd)
  }
}
