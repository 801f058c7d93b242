import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { go, hrefOf } from './address.ts'
import type { Series, Session } from './answers.ts'
import { FilterBar } from './filter-bar.tsx'
import { queryOf, readView, timeOf, writeView, type View } from './filters.ts'
import { firstState, LiveRows, type RowsState } from './live-rows.ts'
import { Plots } from './plots.tsx'
import { usePolling } from './polling.ts'
import { RequestDetails } from './request-details.tsx'
import { RequestTable } from './request-table.tsx'

const seriesEveryMs = 5_000
const buckets = 120

export function RequestsPage ({ params, session }: { params: URLSearchParams, session: Session }) {
  const address = params.toString()
  const view = useMemo(() => readView(params), [address])
  const show = useCallback((next: View, replace = false) => go(hrefOf('', writeView(next)), { replace }), [])
  const [live, setLive] = useState(true)
  const stands = 'from' in view.time
  const [state, rows] = useRows(view, live && !stands)
  const { answer: series, failure } = usePolling<Series>(keyOf(view), stands ? 60_000 : seriesEveryMs, () => seriesPath(view))
  const [plotsShown, setPlotsShown] = useState(() => matchMedia('(min-width: 700px)').matches)
  const isTeam = session.via !== 'local'
  const select = (fromMs: number, toMs: number): void => show({ ...view, time: { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() } })
  const open = view.open
  const why = stands ? 'The time range stands: nothing new can be in it' : state.refused ? 'There is nothing to wait for with this filter' : undefined
  const selected = open === null ? undefined : state.list.rows.find(row => row.id === open)
  return (
    <div class='requests'>
      <FilterBar
        view={view} show={show} isTeam={isTeam} plotsShown={plotsShown} onPlots={() => setPlotsShown(!plotsShown)}
        live={live && why === undefined} connection={state.connection} stands={why} onLive={() => setLive(!live)}
      />
      {plotsShown && !state.refused && <Plots series={series} onSelect={select} onReset={() => show({ ...view, time: { span: '1h' } })} />}
      {(state.failure ?? failure) !== undefined && <p class='failure strip' role='alert'>{state.failure ?? failure}</p>}
      <div class={open === null ? 'split' : 'split opened'}>
        <RequestTable state={state} open={open} isTeam={isTeam} isFiltered={view.conditions.length > 0 || stands} onOpen={id => show({ ...view, open: id })} onMore={() => rows.current?.loadOlder()} />
        {open !== null && <RequestDetails key={open} id={open} row={selected} isTeam={isTeam} view={view} show={show} />}
      </div>
    </div>
  )
}

/** The rows of the view's query; a new query begins anew. */
function useRows (view: View, live: boolean): [RowsState, { current: LiveRows | null }] {
  const [state, setState] = useState<RowsState>(firstState)
  const rows = useRef<LiveRows | null>(null)
  const key = keyOf(view)
  const isLive = useRef(live)
  isLive.current = live
  useEffect(() => {
    setState(firstState)
    const current = new LiveRows(listQuery(view), setState)
    rows.current = current
    current.start(isLive.current).catch(() => {}) // the state says it
    return () => current.end()
  }, [key])
  useEffect(() => {
    if (live) rows.current?.resume()
    else rows.current?.pause()
  }, [live])
  return [state, rows]
}

/** The same for views that show the same rows. */
function keyOf (view: View): string {
  return queryOf(view).toString() + ('span' in view.time ? ` ${view.time.span}` : '')
}

/** A span that moves limits the list at its beginning, as of now. */
function listQuery (view: View): URLSearchParams {
  const query = queryOf(view)
  if ('span' in view.time) query.append('started_at__gte', new Date(timeOf(view, Date.now()).fromMs).toISOString())
  return query
}

function seriesPath (view: View): string {
  const query = listQuery(view)
  query.append('buckets', String(buckets))
  return `/_proxy/trail/series?${query}`
}
