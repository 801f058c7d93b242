import { statSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { isProxyError, type FieldFault } from '../errors.ts'
import { openReader, StoreMissingError } from './query/open.ts'
import type { TrailReader } from './query/reader.ts'
import type { StoreSettings } from './store/connect.ts'

/** The thread that answers questions, so that none of them holds up a request. */
export type ReaderMethod = 'list' | 'find' | 'findRelated' | 'findProxies' | 'series' | 'beginTail' | 'readChanges'

export interface Question {
  id: number
  method: ReaderMethod
  args: unknown[]
}

export type Reply =
  | { id: number, value: unknown }
  | { id: number, faults: FieldFault[] }
  | { id: number, error: string }

const port = parentPort
if (port === null) throw new Error('reader-worker runs in a worker thread')
const settings = workerData as StoreSettings
let open: { reader: Promise<TrailReader>, inode: number } | undefined

port.on('message', (question: Question) => {
  answer(question).then(reply => port.postMessage(reply), (error: unknown) => { throw error })
})

/** A store that is just being made: the first question may come before its tables. */
const longestWaitMs = 2000

async function answer (question: Question, askedAt = performance.now()): Promise<Reply> {
  const { id, method, args } = question
  try {
    const reader = await currentReader()
    return { id, value: await (reader[method] as (...args: unknown[]) => Promise<unknown>)(...args) }
  } catch (error) {
    if (isNotReady(error) && performance.now() - askedAt < longestWaitMs) {
      await forgetReader()
      await new Promise(resolve => { setTimeout(resolve, 50) })
      return answer(question, askedAt)
    }
    if (isProxyError(error) && error.fields !== undefined) return { id, faults: error.fields }
    await forgetReader()
    return { id, error: error instanceof Error ? error.message : String(error) }
  }
}

function isNotReady (error: unknown): boolean {
  return error instanceof StoreMissingError || (error instanceof Error && /no such table|relation .* does not exist/.test(error.message))
}

/** A damaged store is replaced by a new file of the same name; a connection would go on reading the old one. */
async function currentReader (): Promise<TrailReader> {
  const inode = settings.kind === 'sqlite' ? statSync(settings.path, { throwIfNoEntry: false })?.ino ?? 0 : 0
  if (open !== undefined && open.inode !== inode) await forgetReader()
  open ??= { reader: openReader(settings), inode }
  return open.reader
}

async function forgetReader (): Promise<void> {
  const closing = open?.reader
  open = undefined
  await closing?.then(reader => reader.close()).catch(() => {})
}
