import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Explanation, TrailDetail, TrailRecord } from './answers.ts'
import { ask, askText, describeFailure, isAborted } from './api.ts'
import { CopyButton } from './copy-button.tsx'
import { writeCurl } from './curl.ts'
import type { ShowView } from './filter-bar.tsx'
import { withValue, type View } from './filters.ts'
import { describeOutcome, formatBytes, formatDate, formatDuration, toneOf } from './format.ts'
import { listSteps, listStretches } from './timeline.ts'

interface RequestDetailsProps { id: string, row: TrailRecord | undefined, isTeam: boolean, view: View, show: ShowView }

/** One request: what happened when, why it failed and what to do, and what support needs. */
export function RequestDetails ({ id, row, isTeam, view, show }: RequestDetailsProps) {
  const [detail, setDetail] = useState<TrailDetail>()
  const [failure, setFailure] = useState('')
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    const stop = new AbortController()
    ask<TrailDetail>(`/_proxy/trail/${encodeURIComponent(id)}`, { signal: stop.signal }).then(setDetail, error => { if (!isAborted(error)) setFailure(describeFailure(error)) })
    return () => stop.abort()
    // Its outcome may be known by now.
  }, [id, row?.outcome])
  useEffect(() => { heading.current?.focus() }, [])
  const close = (): void => {
    show({ ...view, open: null })
    document.querySelector<HTMLElement>(`[data-id="${id}"] button`)?.focus()
  }
  const record = detail ?? row
  const filter = (name: keyof TrailRecord, value: string) => <button class='inline' title={`Show only ${name} = ${value}`} onClick={() => show(withValue(view, name, value))}>{value}</button>
  return (
    <aside class='details' aria-label='Request details' onKeyDown={event => { if (event.key === 'Escape') close() }}>
      <header>
        <h2 ref={heading} tabIndex={-1}>{record === undefined ? 'Request' : <><span class={`status ${toneOf(record)}`}>{record.status ?? '–'}</span> {record.method} <code>{record.path}</code></>}</h2>
        <button class='close' aria-label='Close details' onClick={close}>×</button>
      </header>
      {failure !== '' && <p class='failure' role='alert'>{failure}</p>}
      {record !== undefined && (
        <div class='body'>
          <div class='actions'>
            <CopyButton label='Copy as curl' text={() => writeCurl(record, location.origin, isTeam)} />
            <CopyButton label='Copy support text' text={() => askText(`/_proxy/trail/${encodeURIComponent(record.id)}/bundle?format=markdown`, 'text/markdown')} />
          </div>
          {record.error_message !== null && record.error_message !== '' && <p class={`message ${toneOf(record)}`}>{record.error_type !== null && record.error_type !== record.error_message && <b>{record.error_type}: </b>}{record.error_message}</p>}
          {detail !== undefined && detail.explanation !== null && <Explained explanation={detail.explanation} />}
          <Timeline record={record} />
          <Facts record={record} filter={filter} open={other => <button class='inline' title='Open that request' onClick={() => show({ ...view, open: other })}>{other}</button>} />
        </div>
      )}
    </aside>
  )
}

function Explained ({ explanation: { likely, next, source } }: { explanation: Explanation }) {
  return (
    <section class='explained' aria-label='Explanation'>
      <h3>Likely cause</h3>
      <p>{likely}</p>
      <h3>Next step</h3>
      <p>{next}</p>
      <p class='hint'>{/^https:\/\//.test(source.url) ? <a href={source.url} target='_blank' rel='noreferrer noopener'>{source.title}</a> : `${source.title} (${source.url})`}</p>
    </section>
  )
}

function Timeline ({ record }: { record: TrailRecord }) {
  const stretches = listStretches(record)
  const wholeMs = record.duration_ms ?? 0
  return (
    <section aria-label='Timeline'>
      <h3>Timeline <span class='hint'>{formatDate(record.started_at)}</span></h3>
      {wholeMs > 0 && (
        <div class='bar' role='img' aria-label={stretches.map(({ name, fromMs, toMs }) => `${name} ${formatDuration(toMs - fromMs)}`).join(', ')}>
          {stretches.map(({ name, fromMs, toMs }) => <i key={name} class={name} style={{ flexGrow: (toMs - fromMs) / wholeMs }} />)}
        </div>
      )}
      <ol class='steps'>{listSteps(record).map(({ atMs, text }) => <li key={text}><span class='at'>{atMs === null ? '' : formatDuration(atMs)}</span>{text}</li>)}</ol>
    </section>
  )
}

type Filter = (name: keyof TrailRecord, value: string) => ComponentChildren

function Facts ({ record, filter, open }: { record: TrailRecord, filter: Filter, open: (id: string) => ComponentChildren }) {
  const facts: Array<[string, ComponentChildren]> = [
    ['Outcome', describeOutcome(record.outcome)],
    ['Path', filter('path', record.path)],
    ['Query', record.query],
    ['Member', record.member === '' ? null : filter('member', record.member)],
    ['API’s request id', record.upstream_request_id],
    ['Proxy’s request id', record.id],
    ['Body in / out', `${formatBytes(record.bytes_in)} / ${formatBytes(record.bytes_out)}`],
    ['Attempts', record.attempts],
    ['Region', record.region],
    ['Policy', record.policy_decision],
    ['Notes', record.notes],
    ['Client', record.client_address],
    ['Agent', record.client_agent],
    ['Key fingerprint', record.key_fingerprint],
    ['Kind', record.kind === 'request' ? null : record.kind],
    ['Made for', record.parent_id === '' ? null : open(record.parent_id)],
    ['Requests made', record.path.startsWith('/_proxy/pages/') ? filter('parent_id', record.id) : null],
    ['Async id', record.async_id],
    ['Device answered', record.async_status === null ? null : `${record.async_status} after ${formatDuration(record.async_latency_ms)}`],
    ['API’s clock', record.clock_offset_ms === null || Math.abs(record.clock_offset_ms) < 1000 ? null : `${formatDuration(Math.abs(record.clock_offset_ms))} ${record.clock_offset_ms > 0 ? 'ahead' : 'behind'}`],
    ['Trace id', record.trace_id]
  ]
  return (
    <section aria-label='Facts'>
      <h3>Facts</h3>
      <dl class='facts'>{facts.filter(([, value]) => value !== null && value !== '').map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
    </section>
  )
}
