import type { LinkState } from './link-machine.ts'
import type { StateMap } from './state-journal.ts'

/** How the upstream channel is, whichever instance holds it. */
export interface Standing {
  state: LinkState
  registered: boolean
  takenBy: string | null
  /** Milliseconds since the epoch. */
  connectedAt: number | null
}

const key = 'link'
const unknown: Standing = { state: 'idle', registered: false, takenBy: null, connectedAt: null }

/** What is known of the upstream channel: here by the link itself, elsewhere by what its holder wrote down. */
export class Standings {
  readonly #state: StateMap
  readonly #own: () => Standing | undefined
  readonly #waiting = new Set<() => void>()
  #last = ''

  /** `own`: of this instance's link, if it holds the channel. */
  constructor (state: StateMap, own: () => Standing | undefined, changed: (standing: Standing) => void) {
    this.#state = state
    this.#own = own
    state.onForeignChange(name => {
      if (name !== key || own() !== undefined) return
      changed(this.current)
      this.#tell()
    })
  }

  get current (): Standing { return this.#own() ?? this.#state.get(key) as Standing | undefined ?? unknown }

  /** The holder's has changed, or another instance has become the holder. */
  note (tellOthers: boolean): void {
    const own = this.#own()
    const text = JSON.stringify(own)
    if (own !== undefined && tellOthers && text !== this.#last) this.#state.set(key, own)
    this.#last = text
    this.#tell()
  }

  /** Resolves once `reached` says so, or after the time; the standing says which. */
  async settled (reached: (standing: Standing) => boolean, timeoutMs: number): Promise<Standing> {
    if (reached(this.current)) return this.current
    await new Promise<void>(resolve => {
      const done = () => {
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve()
      }
      const look = () => { if (reached(this.current)) done() }
      const timer = setTimeout(done, timeoutMs)
      this.#waiting.add(look)
    })
    return this.current
  }

  #tell (): void { for (const look of this.#waiting) look() }
}
