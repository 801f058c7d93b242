import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { formatDate } from './format.ts'
import { filterFields, listChips, readStatus, spans, statusChoices, usualSpan, valueOf, withoutCondition, withStatus, withValue, type View } from './filters.ts'
import type { Connection } from './live-rows.ts'

export type ShowView = (view: View, replace?: boolean) => void

interface FilterBarProps {
  view: View
  show: ShowView
  isTeam: boolean
  plotsShown: boolean
  onPlots: () => void
  live: boolean
  connection: Connection
  /** Why nothing can be live, if it can't. */
  stands: string | undefined
  onLive: () => void
}

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS']
const outcomes: Record<string, string> = {
  answered: 'Answered', refused: 'Refused', failed: 'No usable answer', truncated: 'Broke off', client_aborted: 'Client left', open: 'Running', unfinished: 'Unfinished', own: 'Proxy’s own pages'
}
const typingMs = 300
const dots: Record<Connection, string> = { off: 'connecting', connecting: 'connecting', live: 'on' }

export function FilterBar ({ view, show, isTeam, plotsShown, onPlots, live, connection, stands, onLive }: FilterBarProps) {
  const fields = isTeam ? ['q', 'method', 'outcome', 'member'] : ['q', 'method', 'outcome']
  const chips = listChips(view, fields)
  const status = readStatus(view)
  const outcome = valueOf(view, 'outcome')
  return (
    <form class='filters' role='search' aria-label='Filter requests' onSubmit={event => event.preventDefault()}>
      <TypedField label='Search path and error' placeholder='Search path, error…' class='wide' value={valueOf(view, 'q')} onValue={value => show(withValue(view, 'q', value), true)} />
      <Choice label='Method' value={valueOf(view, 'method')} onValue={value => show(withValue(view, 'method', value))} choices={[['', 'Any method'], ...methods.map((method): [string, string] => [method, method])]} />
      <Choice
        label='Status' value={status} onValue={value => show(withStatus(view, value))}
        choices={[...Object.entries(statusChoices).map(([value, { label }]): [string, string] => [value, label]), ...(status === 'other' ? [['other', 'Status: below'] as [string, string]] : [])]}
      />
      <Choice label='Outcome' value={outcome} onValue={value => show(withValue(view, 'outcome', value))} choices={[['', 'Any outcome'], ...Object.entries(outcomes)]} />
      {isTeam && <TypedField label='Member' placeholder='Member' value={valueOf(view, 'member')} onValue={value => show(withValue(view, 'member', value), true)} />}
      <TimeChoice view={view} show={show} />
      <MoreFilters view={view} show={show} />
      <span class='stretch' />
      <button type='button' class='plain' aria-pressed={plotsShown} onClick={onPlots}>Plots</button>
      <button type='button' class={`live ${live ? dots[connection] : ''}`} aria-pressed={live} disabled={stands !== undefined} onClick={onLive} title={stands}>
        <i class='dot' />{live ? connection === 'live' ? 'Live' : 'Connecting' : 'Paused'}
      </button>
      {chips.length > 0 && (
        <ul class='chips' aria-label='More filters in use'>
          {chips.map(({ index, text }) => <li key={text}>{text}<button type='button' aria-label={`Remove filter ${text}`} onClick={() => show(withoutCondition(view, index))}>×</button></li>)}
        </ul>
      )}
    </form>
  )
}

interface ChoiceProps { label: string, value: string, usual?: string, choices: Array<[string, string]>, onValue: (value: string) => void }

/** `usual`: what it is when nothing was chosen. */
function Choice ({ label, value, usual = '', choices, onValue }: ChoiceProps) {
  return (
    <select aria-label={label} value={value} class={value === usual ? '' : 'set'} onChange={event => onValue(event.currentTarget.value)}>
      {choices.map(([choice, text]) => <option key={choice} value={choice}>{text}</option>)}
    </select>
  )
}

interface TypedFieldProps { label: string, placeholder: string, class?: string, value: string, onValue: (value: string) => void }

/** Takes effect shortly after the last key. */
function TypedField ({ label, placeholder, class: className = '', value, onValue }: TypedFieldProps) {
  const [text, setText] = useState(value)
  const timer = useRef(0)
  useEffect(() => { setText(value) }, [value])
  useEffect(() => () => clearTimeout(timer.current), [])
  const latest = useRef(onValue)
  latest.current = onValue
  const type = (next: string): void => {
    setText(next)
    clearTimeout(timer.current)
    timer.current = setTimeout(() => latest.current(next.trim()), typingMs)
  }
  return <input type='search' aria-label={label} placeholder={placeholder} class={`${className} ${value === '' ? '' : 'set'}`} value={text} maxLength={200} spellcheck={false} autocomplete='off' onInput={event => type(event.currentTarget.value)} />
}

function TimeChoice ({ view, show }: { view: View, show: ShowView }) {
  const { time } = view
  const [editing, setEditing] = useState(false)
  if ('from' in time && !editing) {
    return (
      <span class='range set'>
        <button type='button' class='plain' onClick={() => setEditing(true)} title='Change the time range'>{describeRange(time.from, time.to)}</button>
        <button type='button' aria-label='Back to live time' onClick={() => show({ ...view, time: { span: usualSpan } })}>×</button>
      </span>
    )
  }
  if (editing) return <RangeFields view={view} show={show} onDone={() => setEditing(false)} />
  const choices = Object.entries(spans).map(([span, { label }]): [string, string] => [span, label])
  const choose = (span: string): void => span === 'range' ? setEditing(true) : show({ ...view, time: { span } })
  return <Choice label='Time' usual={usualSpan} value={'span' in time ? time.span : ''} choices={[...choices, ['range', 'From … to …']]} onValue={choose} />
}

function describeRange (from: string, to: string): string {
  const [start, end] = [formatDate(from), formatDate(to)]
  return start.slice(0, 10) === end.slice(0, 10) ? `${start} – ${end.slice(11)}` : `${start} – ${end}`
}

/** For the keyboard what dragging in a plot is for the mouse. */
function RangeFields ({ view, show, onDone }: { view: View, show: ShowView, onDone: () => void }) {
  const { time } = view
  const [from, setFrom] = useState(formatField('from' in time ? Date.parse(time.from) : Date.now() - 3_600_000))
  const [to, setTo] = useState(formatField('from' in time ? Date.parse(time.to) : Date.now()))
  const first = useRef<HTMLInputElement>(null)
  useEffect(() => first.current?.focus(), [])
  const apply = (): void => {
    const [start, end] = [Date.parse(from), Date.parse(to)]
    if (!(start < end)) return
    show({ ...view, time: { from: new Date(start).toISOString(), to: new Date(end).toISOString() } })
    onDone()
  }
  return (
    <span class='range'>
      <input ref={first} type='datetime-local' step='1' aria-label='From' value={from} onInput={event => setFrom(event.currentTarget.value)} />
      <input type='datetime-local' step='1' aria-label='To' value={to} onInput={event => setTo(event.currentTarget.value)} />
      <button type='button' class='plain' disabled={!(Date.parse(from) < Date.parse(to))} onClick={apply}>Apply</button>
      <button type='button' aria-label='Cancel' onClick={onDone}>×</button>
    </span>
  )
}

function formatField (ms: number): string {
  return formatDate(new Date(ms).toISOString()).replace(' ', 'T')
}

const operators: Array<[string, string]> = [['eq', '='], ['neq', '≠'], ['gte', '≥'], ['lte', '≤'], ['in', 'one of'], ['nin', 'none of']]

function MoreFilters ({ view, show }: { view: View, show: ShowView }) {
  const [shown, setShown] = useState(false)
  const [field, setField] = useState('path')
  const [operator, setOperator] = useState('eq')
  const [value, setValue] = useState('')
  const id = useId()
  const first = useRef<HTMLSelectElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  const box = useRef<HTMLSpanElement>(null)
  useEffect(() => { if (shown) first.current?.focus() }, [shown])
  useLayoutEffect(() => { if (box.current !== null) keepInSight(box.current) }, [shown])
  const close = (): void => {
    setShown(false)
    button.current?.focus()
  }
  const add = (): void => {
    if (value === '') return
    show({ ...view, conditions: [...view.conditions, [`${field}__${operator}`, value]] })
    setValue('')
    close()
  }
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'Escape') close()
    if (event.key === 'Enter' && event.target instanceof HTMLInputElement) add()
  }
  return (
    <span class='more'>
      <button ref={button} type='button' class='plain' aria-expanded={shown} aria-controls={id} onClick={() => setShown(!shown)}>+ Filter</button>
      {shown && (
        <span id={id} ref={box} class='popover' role='group' aria-label='Add a filter' onKeyDown={onKeyDown}>
          <select ref={first} aria-label='Field' value={field} onChange={event => setField(event.currentTarget.value)}>{filterFields.map(name => <option key={name}>{name}</option>)}</select>
          <select aria-label='Condition' value={operator} onChange={event => setOperator(event.currentTarget.value)}>{operators.map(([name, sign]) => <option key={name} value={name}>{sign}</option>)}</select>
          <input aria-label='Value' placeholder={operator === 'in' || operator === 'nin' ? 'a,b,c' : 'value'} value={value} spellcheck={false} onInput={event => setValue(event.currentTarget.value)} />
          <button type='button' class='plain' onClick={add}>Add</button>
        </span>
      )}
    </span>
  )
}

/** Moves what would stand out of the window on the right to the left. */
function keepInSight (box: HTMLElement): void {
  const hidden = box.getBoundingClientRect().right - document.documentElement.clientWidth + 12
  if (hidden > 0) box.style.setProperty('--shift', `${-hidden}px`)
}
