export type ListFault =
  /** The text breaks JSON's rules. */
  | 'malformed'
  /** It ended before the list did. */
  | 'incomplete'
  /** It is JSON, but no list: no array and no object with an array `data`. */
  | 'not-a-list'

/** What was read isn't a list of the API. */
export class ListError extends Error {
  readonly fault: ListFault

  constructor (fault: ListFault) {
    super(fault)
    this.fault = fault
  }
}
