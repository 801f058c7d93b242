import type { FleetService } from '../decorations.ts'
import { lifetimeMs } from './revocation-marks.ts'

interface News {
  from: string
  /** The team file was seen to change: look at yours. */
  changed?: true
  gone?: string[]
  back?: string[]
  ended?: [session: string, expiresMs: number]
}

interface FleetNewsOptions {
  fleet: Pick<FleetService, 'redis' | 'key' | 'instance'>
  /** Wall clock, as near to Redis's as is known. */
  nowMs: () => number
  onChanged: () => void
  /** Every mark there is. */
  onMarks: (marks: ReadonlySet<string>) => void
  onEnded: (session: string, expiresMs: number) => void
}

/**
 * What instances tell each other at once: that the team file changed, which tokens were revoked, which sessions of the console ended.
 * It is also written down in Redis, for whoever was away or starts later. Digests of tokens and ids of sessions only: neither lets
 * anybody in.
 */
export class FleetNews {
  readonly #options: FleetNewsOptions
  readonly channel: string
  readonly #revoked: string
  readonly #ended: string
  /** By mark, until when. */
  #marks = new Map<string, number>()
  /** What Redis could not be told yet. */
  #untold: News[] = []

  constructor (options: FleetNewsOptions) {
    this.#options = options
    const { key } = options.fleet
    this.channel = key('team:news')
    this.#revoked = key('team:revoked')
    this.#ended = key('team:ended-sessions')
  }

  tellChanges (gone: string[], back: string[]): Promise<void> {
    for (const mark of gone) this.#marks.set(mark, this.#options.nowMs() + lifetimeMs(mark))
    for (const mark of back) this.#marks.delete(mark)
    if (gone.length + back.length > 0) this.#giveMarks()
    return this.#tell({ from: this.#options.fleet.instance, changed: true, gone, back })
  }

  tellEnded (session: string, expiresMs: number): Promise<void> {
    return this.#tell({ from: this.#options.fleet.instance, ended: [session, expiresMs] })
  }

  readonly hear = (message: string): void => {
    const { from, changed, gone = [], back = [], ended } = JSON.parse(message) as News
    if (from === this.#options.fleet.instance) return
    if (ended !== undefined) this.#options.onEnded(...ended)
    for (const mark of gone) this.#marks.set(mark, this.#options.nowMs() + lifetimeMs(mark))
    for (const mark of back) this.#marks.delete(mark)
    if (gone.length + back.length > 0) this.#giveMarks()
    if (changed === true) this.#options.onChanged()
  }

  /** After being away: tells what could not be told, then reads what was missed. */
  async catchUp (): Promise<void> {
    const untold = this.#untold
    this.#untold = []
    for (const news of untold) await this.#tell(news)
    const { redis } = this.#options.fleet
    const now = this.#options.nowMs()
    try {
      await redis.zremrangebyscore(this.#revoked, '-inf', String(now))
      await redis.zremrangebyscore(this.#ended, '-inf', String(now))
      this.#marks = toMap(await redis.zrange(this.#revoked, '0', '-1', 'WITHSCORES'))
      for (const [session, expiresMs] of toMap(await redis.zrange(this.#ended, '0', '-1', 'WITHSCORES'))) this.#options.onEnded(session, expiresMs)
    } catch {
      // Away again: the next connection begins anew.
      return
    }
    this.#giveMarks()
    this.#options.onChanged()
  }

  async #tell (news: News): Promise<void> {
    const { gone = [], back = [], ended } = news
    const { redis } = this.#options.fleet
    const now = this.#options.nowMs()
    const writing = redis.multi()
    for (const mark of gone) writing.zadd(this.#revoked, Math.floor(now + lifetimeMs(mark)), mark)
    if (back.length > 0) writing.zrem(this.#revoked, ...back)
    if (ended !== undefined) writing.zadd(this.#ended, Math.floor(ended[1]), ended[0])
    writing.publish(this.channel, JSON.stringify(news))
    try {
      await writing.exec()
    } catch {
      this.#untold.push(news)
    }
  }

  #giveMarks (): void {
    const now = this.#options.nowMs()
    for (const [mark, untilMs] of this.#marks) if (untilMs <= now) this.#marks.delete(mark)
    this.#options.onMarks(new Set(this.#marks.keys()))
  }
}

function toMap (pairs: string[]): Map<string, number> {
  return new Map(Array.from({ length: pairs.length / 2 }, (_, index) => [pairs[index * 2] as string, Number(pairs[index * 2 + 1])]))
}
