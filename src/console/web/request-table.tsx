import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { TrailRecord } from './answers.ts'
import { describeResult, formatBytes, formatCount, formatDay, formatDuration, formatTime, toneOf } from './format.ts'
import type { RowsState } from './live-rows.ts'
import { findWindow } from './row-list.ts'

interface RequestTableProps {
  state: RowsState
  open: string | null
  isTeam: boolean
  isFiltered: boolean
  onOpen: (id: string) => void
  onMore: () => unknown
}

const wideRow = 26
/** Two lines on a phone. */
const narrowRow = 48
const loadMoreWithin = 60

/** Only the rows in sight are on the page: 10,000 scroll like ten. */
export function RequestTable ({ state, open, isTeam, isFiltered, onOpen, onMore }: RequestTableProps) {
  const { list: { rows }, loading, hasMore, skipped, failure } = state
  const scroller = useRef<HTMLDivElement>(null)
  const [{ top, height, rowHeight }, setPlace] = useState({ top: 0, height: 600, rowHeight: wideRow })
  const [active, setActive] = useState<string | null>(null)
  const [unseen, setUnseen] = useState(0)
  const { start, end } = findWindow(top, height, rowHeight, rows.length)

  const measure = (): void => {
    const element = scroller.current
    if (element === null) return
    const next = { top: element.scrollTop, height: element.clientHeight, rowHeight: element.clientWidth < 640 ? narrowRow : wideRow }
    setPlace(last => last.top === next.top && last.height === next.height && last.rowHeight === next.rowHeight ? last : next)
    if (element.scrollTop === 0) setUnseen(0)
  }
  useEffect(() => {
    const sizes = new ResizeObserver(measure)
    sizes.observe(scroller.current as HTMLDivElement)
    return () => sizes.disconnect()
  }, [])
  // Who reads further down, or is on a row with the keyboard, stays there while new rows come in above.
  useLayoutEffect(() => {
    const element = scroller.current
    if (element === null || state.added === 0) return
    if (element.scrollTop === 0 && !element.querySelector('.row:focus-within')) return
    element.scrollTop += state.added * rowHeight
    setUnseen(count => count + state.added)
    measure()
  }, [state])
  useEffect(() => { if (hasMore && !loading && end > rows.length - loadMoreWithin) onMore() }, [end, rows.length, hasMore, loading])

  const toTop = (): void => {
    if (scroller.current !== null) scroller.current.scrollTop = 0
    setUnseen(0)
  }
  const focusRow = (index: number): void => {
    const row = rows[Math.max(0, Math.min(rows.length - 1, index))]
    const element = scroller.current
    if (row === undefined || element === null) return
    setActive(row.id)
    const rowTop = rows.indexOf(row) * rowHeight
    if (rowTop < element.scrollTop) element.scrollTop = rowTop
    if (rowTop + rowHeight > element.scrollTop + element.clientHeight) element.scrollTop = rowTop + rowHeight - element.clientHeight
    measure()
    // Once it is on the page.
    requestAnimationFrame(() => requestAnimationFrame(() => element.querySelector<HTMLElement>(`[data-id="${row.id}"] button`)?.focus({ preventScroll: true })))
  }
  const onKeyDown = (event: KeyboardEvent): void => {
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: Math.floor(height / rowHeight) - 1, PageUp: 1 - Math.floor(height / rowHeight), Home: -Infinity, End: Infinity }
    const step = steps[event.key]
    if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return
    event.preventDefault()
    focusRow(rows.findIndex(row => row.id === active) + step)
  }
  const shown = rows.slice(start, end)
  const reachable = shown.some(row => row.id === active) ? active : shown[0]?.id
  return (
    <div class='list'>
      <div ref={scroller} class={`scroller ${rowHeight === narrowRow ? 'narrow' : ''} ${isTeam ? 'team' : ''}`} onScroll={measure} onKeyDown={onKeyDown} role='grid' aria-label='Requests, newest first' aria-rowcount={rows.length + 1} aria-busy={loading}>
        <div class='row head' role='row' aria-rowindex={1}>
          {['Time', 'Status', 'Method', 'Path', 'Result', ...(isTeam ? ['Member'] : []), 'Duration', 'Size'].map(name => <span key={name} role='columnheader' class={`cell ${name.toLowerCase()}`}>{name}</span>)}
        </div>
        <div class='all' role='rowgroup' style={{ height: `${rows.length * rowHeight}px` }}>
          {shown.map((row, index) => (
            <Row
              key={row.id} row={row} isTeam={isTeam} index={start + index} top={(start + index) * rowHeight} isOpen={row.id === open}
              isReachable={row.id === reachable} onFocus={setActive} onOpen={onOpen}
            />
          ))}
        </div>
      </div>
      {rows.length === 0 && failure === undefined && <div class='empty' role='status'>{loading ? 'Loading…' : isFiltered ? 'No request fits.' : <FirstStep isTeam={isTeam} />}</div>}
      {unseen > 0 && <button class='unseen-rows' onClick={toTop}>↑ {formatCount(unseen)} new</button>}
      <p class='foot'>{formatCount(rows.length)} {rows.length === 1 ? 'request' : 'requests'}{hasMore ? ', older ones as you scroll' : ''}{skipped > 0 && ` · ${formatCount(skipped)} came too quickly to show`}</p>
    </div>
  )
}

function FirstStep ({ isTeam }: { isTeam: boolean }) {
  return <>Nothing was asked in this time. Requests appear here as they happen; try one:<br /><code>curl {isTeam && "-H 'Authorization: Bearer izp_…' "}'{location.origin}/v3/devices?limit=2'</code></>
}

interface RowProps { row: TrailRecord, isTeam: boolean, index: number, top: number, isOpen: boolean, isReachable: boolean, onFocus: (id: string) => void, onOpen: (id: string) => void }

function Row ({ row, isTeam, index, top, isOpen, isReachable, onFocus, onOpen }: RowProps) {
  const url = row.query === '' ? row.path : `${row.path}?${row.query}`
  return (
    <div class={`row ${toneOf(row)} ${isOpen ? 'open' : ''}`} role='row' aria-rowindex={index + 2} data-id={row.id} style={{ transform: `translateY(${top}px)` }} onClick={() => onOpen(row.id)}>
      <span role='gridcell' class='cell time'>
        <button tabIndex={isReachable ? 0 : -1} aria-expanded={isOpen} aria-label={`Open request of ${formatTime(row.started_at)}`} title={formatDay(row.started_at)} onFocus={() => onFocus(row.id)}>{formatTime(row.started_at)}</button>
      </span>
      <span role='gridcell' class='cell status'>{row.status ?? (row.outcome === 'open' ? '…' : '–')}</span>
      <span role='gridcell' class='cell method'>{row.method}</span>
      <span role='gridcell' class='cell path' title={url}>{row.path}{row.query !== '' && <span class='query'>?{row.query}</span>}</span>
      <span role='gridcell' class='cell result'>{describeResult(row)}</span>
      {isTeam && <span role='gridcell' class='cell member'>{row.member}</span>}
      <span role='gridcell' class='cell duration'>{row.duration_ms === null ? '' : formatDuration(row.duration_ms)}</span>
      <span role='gridcell' class='cell size'>{row.outcome === 'open' ? '' : formatBytes(row.bytes_out)}</span>
    </div>
  )
}
