import type { FleetService } from '../../decorations.ts'
import type { EventLog, LoggedEvent } from '../event-log.ts'
import { writeEntry } from './event-entry.ts'
import { restoredScript } from './stream-scripts.ts'

const maxBatchBytes = 1024 * 1024

/**
 * Redis has lost the stream or its end: this instance has all of it, and puts it back as it was. Resolves to false if the lease
 * is another's by then.
 */
export async function restoreStream ({ redis, key, instance }: FleetService, [epochKey, headKey, eventsKey]: [string, string, string], log: Pick<EventLog, 'first' | 'head' | 'at'>, epoch: string): Promise<boolean> {
  await redis.del(epochKey, headKey, eventsKey)
  for (let position = log.first; position <= log.head;) {
    const pipeline = redis.pipeline()
    for (let bytes = 0; bytes < maxBatchBytes && position <= log.head; position++) {
      const { to, gap, answers, bytes: text, at } = log.at(position) as LoggedEvent
      const [mark, head] = writeEntry({ mark: '', event: { to, gap, text: '', ...(answers && { answers }) }, at })
      pipeline.xadd(eventsKey, `${position}-0`, 'mark', mark, 'head', head, 'text', text)
      bytes += text.length
    }
    await pipeline.exec()
  }
  return await redis.eval(restoredScript, 3, epochKey, headKey, key('channel:lease'), epoch, log.head, instance) === 1
}
