import { readlinkSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'
import { basename } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { collectWhenIdle } from '../idle-collector.ts'
import type { KnownProxy } from './bundle-context.ts'
import { JournalReader } from './journal-reader.ts'
import type { Position } from './segment-writer.ts'
import { Feeder, type FeederReport } from './store/feeder.ts'
import { connectStore, type StoreSettings } from './store/connect.ts'
import type { RetentionLimits } from './store/housekeeping.ts'

/** The thread that carries the journal into the store, so that no request ever waits for a database. */
export interface StoreWorkerData {
  folder: string
  store: StoreSettings
  retention: RetentionLimits
  /** What this process runs with. */
  proxy?: KnownProxy | undefined
}

export type ToStoreWorker =
  | { type: 'advance', position: Position }
  | { type: 'drain', position: Position | undefined }

export type FromStoreWorker =
  | { type: 'report', report: FeederReport }
  | { type: 'log', level: 'info' | 'warn' | 'error', what: Record<string, unknown>, message: string }
  | { type: 'drained' }

/** So much nicer than the process; enough to let requests go first, and to keep up when they take all of a processor. */
const niceness = 5
const mostNice = 19

/** Where threads have priorities of their own (Linux): whoever waits for an answer goes before what nobody waits for. */
function stepBack (): void {
  try {
    setPriority(Number(basename(readlinkSync('/proc/thread-self'))), Math.min(getPriority() + niceness, mostNice))
  } catch {
    // Elsewhere it is the process that has one.
  }
}

/** A thread has a heap of its own; this one's is some 10 MB. */
const worthwhileBytes = 4 * 1024 * 1024

stepBack()
collectWhenIdle(worthwhileBytes)
const port = parentPort
if (port === null) throw new Error('store-worker runs in a worker thread')
const data = workerData as StoreWorkerData
const send = (message: FromStoreWorker): void => port.postMessage(message)

const feeder = new Feeder({
  ...await connectStore(data.store),
  reader: new JournalReader(data.folder),
  retention: data.retention,
  proxy: data.proxy,
  now: Date.now,
  report: report => send({ type: 'report', report }),
  log: (level, what, message) => send({ type: 'log', level, what, message })
})

port.on('message', (message: ToStoreWorker) => {
  if (message.type === 'advance') feeder.advance(message.position)
  else drain(message.position).catch((error: unknown) => { throw error })
})

async function drain (position: Position | undefined): Promise<void> {
  if (position !== undefined) {
    feeder.advance(position)
    await feeder.drain()
  }
  await feeder.stop()
  send({ type: 'drained' })
  port?.close()
}
