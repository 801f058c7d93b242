/** The newest ids of items, to know one that comes a second time. Two generations: each holds `size`, the older is dropped whole. */
export class RecentUids {
  readonly #size: number
  #newer = new Set<string>()
  #older = new Set<string>()

  constructor (size: number) { this.#size = size }

  has (uid: string): boolean { return this.#newer.has(uid) || this.#older.has(uid) }

  /** True if the id was here before, within the last `size` to twice as many. */
  isRepeated (uid: string): boolean {
    if (this.has(uid)) return true
    if (this.#newer.size >= this.#size) {
      this.#older = this.#newer
      this.#newer = new Set()
    }
    this.#newer.add(uid)
    return false
  }
}
