import { createHash } from 'node:crypto'
import type { FleetService } from '../decorations.ts'
import type { KeyLimits } from './limits.ts'
import { limitsScript } from './limits-script.ts'

/** Without an answer for this long an instance goes on with its own share: nobody's request hangs on Redis. */
const answerMs = 250

/** Unheard of for this long, an instance is taken for gone: its places are free again, its share of the rates is kept aside. */
const sessionMs = 1500

/** Between signs of life. */
const beatMs = 300

/** How long a share is kept aside for an instance that may go on alone. */
const awayMs = 60_000

/** After this long the others have noticed that an instance is on its own. */
export const noticedMs = sessionMs + 500

/** Operations in one script: Redis does nothing else meanwhile. */
const mostOperations = 500

const digest = createHash('sha1').update(limitsScript).digest('hex')

export type Verdict = 'ok' | 'open' | 'all' | 'daily' | 'rate' | 'busy'

/** What an instance knows of Redis: of the session before, or of this one as last heard. */
export interface Acquaintance {
  session: string
  /** Names the set of buckets. */
  buckets: string
  instances: number
}

/** Of an instance that was never in touch. */
export const stranger: Acquaintance = { session: '-', buckets: '-', instances: 0 }

interface SessionOptions {
  earlier: Acquaintance
  fleet: Pick<FleetService, 'redis' | 'key' | 'instance'>
  key: () => KeyLimits
  /** What became of a question. `figure`: ms to wait, or with `ok` the tokens left; -1 = neither. */
  onVerdict: (id: number, verdict: Verdict, figure: number) => void
  /** A batch was answered: what was asked in it and has no verdict waits. `keyTokens`: of the key's bucket, if it has one. */
  onAnswered: (ids: number[], keyTokens: number) => void
  /** Redis didn't answer in time, or has forgotten the session: why, in a word. */
  onLost: (reason: string) => void
}

type Answer = [nextMs: number | 'gone', keyTokens: number, instances: number, buckets: string, ...verdicts: Array<number | Verdict>]

let sessions = 0

/**
 * A stretch in which this instance and Redis agree about what it holds. What is added in one turn of the event loop goes as one script
 * at its end. At the first answer that is late or wrong it is over, and a new one has to be begun: nobody knows what was done.
 */
export class LimitsSession {
  readonly id: string
  #state: 'joining' | 'joined' | 'over' = 'joining'
  readonly #options: SessionOptions
  readonly #keys: string[]
  #batch: string[] = []
  #operations = 0
  /** Asked about in the batch. */
  #asked: number[] = []
  #scheduled: NodeJS.Immediate | undefined
  /** When each batch under way was sent, oldest first. */
  readonly #sentMs: number[] = []
  readonly #watchdog: NodeJS.Timeout
  #heart: NodeJS.Timeout | undefined
  #serveTimer: NodeJS.Timeout | undefined
  #onFirstAnswer: ((value?: unknown) => void) | undefined
  #sentFirst = false
  /** Do those who wait for the key wait for its rate? Otherwise for a place. */
  tokensShort = false
  #known: Acquaintance

  constructor (options: SessionOptions) {
    this.#options = options
    const { instance, key } = options.fleet
    this.id = `${instance}.${++sessions}`
    this.#known = options.earlier
    this.#keys = ['sessions', 'away', 'open', 'buckets', 'day', 'turns', ''].map(name => key('limits:' + name))
    this.#watchdog = setTimeout(() => { setImmediate(() => this.#lookAtClock()) }, answerMs / 2).unref()
  }

  get joined (): boolean { return this.#state === 'joined' }
  get over (): boolean { return this.#state === 'over' }
  /** What was last heard. Before the first answer, what was known before. */
  get known (): Acquaintance { return this.#known }

  /** Sends what was added so far and begins. Operations added from now on are counted from this moment. */
  async join (): Promise<boolean> {
    this.#flush()
    await new Promise(resolve => { this.#onFirstAnswer = resolve })
    return this.#state === 'joined'
  }

  /** A question: `a` a request, `w` a wrong token. The verdict comes by `onVerdict`. */
  ask (letter: 'a' | 'w', id: number, ...rest: Array<string | number>): void {
    this.#asked.push(id)
    this.tell(letter, id, ...rest)
  }

  tell (...operation: Array<string | number>): void {
    if (this.#state === 'over') return
    for (const word of operation) this.#batch.push(String(word))
    if (++this.#operations >= mostOperations) this.#flush()
    else this.#scheduled ??= setImmediate(() => this.#flush())
  }

  /** A sign of life. Serves also what others left waiting. */
  beat (): void {
    this.#scheduled ??= setImmediate(() => this.#flush())
  }

  /** Tells Redis that nothing is held any more. */
  async leave (): Promise<void> {
    if (this.#state !== 'joined') return this.end()
    this.tell('x', this.id)
    this.#flush()
    await new Promise(resolve => { this.#onFirstAnswer = resolve })
    this.end()
  }

  end (): void {
    this.#state = 'over'
    clearTimeout(this.#watchdog)
    clearTimeout(this.#serveTimer)
    clearInterval(this.#heart)
    clearImmediate(this.#scheduled)
    this.#onFirstAnswer?.()
  }

  #flush (): void {
    clearImmediate(this.#scheduled)
    this.#scheduled = undefined
    if (this.#state === 'over') return
    const batch = this.#batch
    const asked = this.#asked
    this.#batch = []
    this.#asked = []
    this.#operations = 0
    if (this.#sentMs.push(performance.now()) === 1) this.#watchdog.refresh()
    this.#send(batch).then(answer => this.#take(answer, asked), (error: unknown) => this.#lose(nameReason(error)))
  }

  /** The first brings the script along. That Redis knows it later too is part of the session. */
  #send (batch: string[]): Promise<unknown> {
    const { redis } = this.#options.fleet
    const words = [this.id, this.#sentFirst ? 'go' : 'join', sessionMs, ...describeKey(this.#options.key()), awayMs, ...describe(this.#options.earlier), ...batch]
    const isFirst = !this.#sentFirst
    this.#sentFirst = true
    return isFirst ? redis.eval(limitsScript, this.#keys.length, ...this.#keys, ...words) : redis.evalsha(digest, this.#keys.length, ...this.#keys, ...words)
  }

  #take (answer: unknown, asked: number[]): void {
    if (this.#state === 'over') return
    this.#sentMs.shift()
    const [nextMs, keyTokens, instances, buckets, ...verdicts] = answer as Answer
    if (nextMs === 'gone') return this.#lose('forgotten')
    if (this.#state === 'joining') this.#begin()
    this.#known = { session: this.id, buckets, instances }
    this.#onFirstAnswer?.()
    for (let index = 0; index < verdicts.length; index += 3) this.#options.onVerdict(verdicts[index] as number, verdicts[index + 1] as Verdict, verdicts[index + 2] as number)
    this.#options.onAnswered(asked, keyTokens)
    this.tokensShort = nextMs >= 0
    if (nextMs >= 0) this.#serveIn(nextMs)
  }

  #begin (): void {
    this.#state = 'joined'
    this.#heart = setInterval(() => this.beat(), beatMs).unref()
  }

  /** When the key has a token again, somebody has to say so. */
  #serveIn (delayMs: number): void {
    clearTimeout(this.#serveTimer)
    this.#serveTimer = setTimeout(() => this.beat(), delayMs).unref()
  }

  /** Looks once more after what has arrived was read: it may have been this process that was late. */
  #lookAtClock (): void {
    const oldest = this.#sentMs[0]
    if (this.#state === 'over' || oldest === undefined) return
    if (performance.now() - oldest >= answerMs) return this.#lose('late')
    this.#watchdog.refresh()
  }

  #lose (reason: string): void {
    if (this.#state === 'over') return
    this.end()
    this.#options.onLost(reason)
  }
}

/** Never the error itself: it carries the command. */
function nameReason (error: unknown): string {
  const { message = '', code } = error as { message?: string, code?: unknown }
  return typeof code === 'string' ? code : message.split(/[ :]/)[0] ?? 'unknown'
}

function describe ({ session, buckets, instances }: Acquaintance): Array<string | number> {
  return [session, buckets, instances]
}

function describeKey ({ rate, concurrency, longPolls, webSockets, ofKey, maxWaiting }: KeyLimits): number[] {
  return [rate?.perSecond ?? -1, rate?.burst ?? -1, (ofKey.concurrency ? concurrency : null) ?? -1, (ofKey.longPolls ? longPolls : null) ?? -1, webSockets ?? -1, maxWaiting]
}
