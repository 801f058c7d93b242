import type { ListFacts } from './list-scanner.ts'

/** What a page that was read whole tells about the next one. */
export interface PageFacts extends ListFacts {
  firstId: string | undefined
  lastId: string | undefined
}

export type Step =
  /** Read on with this `after`. */
  | { after: string }
  /** The list is whole. */
  | 'end'
  /** There is more, says the page, but not where. */
  | 'lost'
  /** It leads back to where the list has been already. */
  | 'loop'

/** So many are remembered at least; a loop that is longer than that is none. */
const maxRemembered = 10_000
/** It has to fit into a request target. */
const maxCursorLength = 4096

/**
 * Finds the way through a list. In the order of what the API documents:
 * - `continuation_marker` (pre-shared keys) names the next page;
 * - `after` is the id of the last item seen;
 * - a list whose answers have an `after` that nobody sent hands out tokens: what it gives is what it wants back.
 * https://developer.izumanetworks.com/docs/device-management/current/service-api-references/using-the-apis.html
 */
export class Cursor {
  #sent: string | undefined
  readonly #seen = new Set<string>()
  /** `undefined` before the first page. */
  #handsOutTokens: boolean | undefined
  /** Where to go on should the token that was followed lead nowhere. */
  #otherwise: string | undefined
  #lastFirstId: string | undefined

  /** `after`: what the client asked to begin with. */
  constructor (after: string | undefined) {
    this.#sent = after
    if (after !== undefined) this.#seen.add(after)
  }

  /** The list goes on by tokens, not by ids. */
  usesTokens = false

  /** The page was read; where is the next one? */
  advance (facts: PageFacts): Step {
    this.#lastFirstId = facts.firstId
    this.#handsOutTokens ??= this.#sent === undefined && facts.after !== undefined
    this.#otherwise = undefined
    if (!facts.hasMore) return 'end'
    const token = facts.after === this.#sent ? undefined : facts.after
    if (facts.continuationMarker !== undefined) return this.#followToken(facts.continuationMarker)
    if (this.#handsOutTokens && token !== undefined && token !== facts.lastId) {
      this.#otherwise = facts.lastId
      return this.#followToken(token)
    }
    if (facts.lastId === undefined) return this.#followToken(token)
    this.usesTokens = false
    return this.#follow(facts.lastId)
  }

  #followToken (token: string | undefined): Step {
    this.usesTokens = true
    return this.#follow(token)
  }

  /** The page begins with the item that the one before began with: the API hasn't moved on. */
  isRepeated (firstId: string | undefined): boolean {
    return firstId !== undefined && firstId === this.#lastFirstId
  }

  /** After a repeated page: the other way, if there is one. */
  retreat (): Step {
    const otherwise = this.#otherwise
    this.#otherwise = undefined
    this.#handsOutTokens = this.usesTokens = false
    return otherwise === undefined ? 'loop' : this.#follow(otherwise)
  }

  #follow (after: string | undefined): Step {
    if (after === undefined || after.length > maxCursorLength) return 'lost'
    if (this.#seen.has(after)) return 'loop'
    if (this.#seen.size >= maxRemembered) this.#seen.clear()
    this.#seen.add(after)
    this.#sent = after
    return { after }
  }
}
