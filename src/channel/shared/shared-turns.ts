import { randomBytes } from 'node:crypto'
import type { FleetService } from '../../decorations.ts'
import { LocalTurns, type Turns } from '../turns.ts'

const releaseScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1`

/** An instance that died in its turn is waited for this long. */
const ttlMs = 15_000
const retryMs = 40

/** Turns among all instances, by a lock in Redis. Whoever has it sees what those before it have changed. */
export class SharedTurns implements Turns {
  readonly #fleet: FleetService
  readonly #catchUp: () => Promise<void>
  readonly #publish: () => Promise<void>
  readonly #here = new LocalTurns()

  constructor (fleet: FleetService, catchUp: () => Promise<void>, publish: () => Promise<void>) {
    this.#fleet = fleet
    this.#catchUp = catchUp
    this.#publish = publish
  }

  take<T> (subject: string, work: () => Promise<T>): Promise<T> {
    return this.#here.take(subject, async () => {
      const release = await this.#lock(this.#fleet.key(`channel:turn:${subject}`))
      try {
        return await work()
      } finally {
        // Not before the others can see what was changed.
        await this.#publish()
        release()
      }
    })
  }

  /** While Redis is away, this instance's own turns have to do. */
  async #lock (key: string): Promise<() => void> {
    const { redis } = this.#fleet
    const token = randomBytes(12).toString('base64url')
    const deadline = performance.now() + ttlMs
    try {
      while (await redis.set(key, token, 'PX', ttlMs, 'NX') === null && performance.now() < deadline) {
        await new Promise(resolve => setTimeout(resolve, retryMs))
      }
      await this.#catchUp()
    } catch {
      return () => {}
    }
    return () => { redis.eval(releaseScript, 1, key, token).catch(() => {}) }
  }
}
