import { comma, lineFeed } from './bytes.ts'
import type { Run } from './item-cutter.ts'

/** What the answer says at its end, of a list or of its failure. */
export interface Ending {
  /** More items are there than were passed on. */
  hasMore: boolean
  /** Where to go on from. */
  after: string | undefined
  totalCount: number | undefined
}

/** How items are put together to one answer. It has a state: one for each answer. */
export interface Format {
  readonly contentType: string
  readonly separator: number
  readonly oneLine: boolean
  open (): Buffer
  join (runs: Run[]): Buffer
  close (ending: Ending): Buffer
  /**
   * The last words of a list that could not be read to its end. `spilled`: in the middle of an item. `undefined` if nothing can be
   * said any more that a reader would understand: then the connection has to break.
   */
  fail (error: object, spilled: boolean, ending: Ending): Buffer | undefined
}

const nothing = Buffer.alloc(0)
const newline = Buffer.from('\n')
const separator = Buffer.from(',')

/** One item a line (https://github.com/ndjson/ndjson-spec), the error as a last line with `"object":"error"`. */
export function createLines (): Format {
  return {
    contentType: 'application/x-ndjson',
    separator: lineFeed,
    oneLine: true,
    open: () => nothing,
    join: runs => concat(runs.flatMap(({ pieces, ends }) => ends ? [...pieces, newline] : pieces)),
    close: () => nothing,
    fail: (error, spilled) => Buffer.from(`${spilled ? '\n' : ''}${JSON.stringify(error)}\n`)
  }
}

/** The API's own list object with all items in it; a failure is its member `error`. */
export function createList (): Format {
  let isFirst = true
  function separate ({ begins, pieces }: Run): Buffer[] {
    const isSeparated = begins && !isFirst
    isFirst = false
    return isSeparated ? [separator, ...pieces] : pieces
  }
  return {
    contentType: 'application/json',
    separator: comma,
    oneLine: false,
    open: () => Buffer.from('{"object":"list","data":['),
    join: runs => concat(runs.flatMap(separate)),
    close: ending => Buffer.from(`],${describe(ending)}}`),
    fail: (error, spilled, ending) => spilled ? undefined : Buffer.from(`],${describe(ending)},"error":${JSON.stringify(error)}}`)
  }
}

function describe ({ hasMore, after, totalCount }: Ending): string {
  const total = totalCount === undefined ? '' : `,"total_count":${totalCount}`
  return `"has_more":${hasMore},"after":${JSON.stringify(after ?? null)}${total}`
}

function concat (pieces: Buffer[]): Buffer {
  return pieces.length === 1 ? pieces[0] as Buffer : Buffer.concat(pieces)
}

/**
 * Lines, unless the client would rather have JSON (RFC 9110 §12.5.1): who names neither, or only everything, gets lines.
 */
export function chooseFormat (accept = ''): Format {
  return weigh(accept, 'application/json') > weigh(accept, 'application/x-ndjson') ? createList() : createLines()
}

function weigh (accept: string, type: string): number {
  for (const range of accept.toLowerCase().split(',')) {
    const [name = '', ...parameters] = range.split(';').map(part => part.trim())
    if (name !== type) continue
    const weight = parameters.find(parameter => parameter.startsWith('q='))
    return weight === undefined ? 1 : Number(weight.slice(2)) || 0
  }
  return 0
}
