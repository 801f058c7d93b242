import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Status } from './answers.ts'
import { ask, AnswerError, reportLostSession } from './api.ts'
import { listEvents, type ChannelEvent } from './channel-events.ts'
import { PartState } from './health-page.tsx'
import { formatAgo, formatCount, formatDate, formatName, formatTime } from './format.ts'
import { useNow, usePolling } from './polling.ts'

const mostEvents = 200

interface SeenEvent extends ChannelEvent { at: string, key: number }

export function ChannelPage () {
  const { answer, failure } = usePolling<Status>('/_proxy/status', 2_000)
  const now = useNow(1_000)
  const channel = answer?.parts['channel']
  return (
    <>
      {failure !== undefined && <p class='failure' role='alert'>{failure}</p>}
      {answer === undefined && failure === undefined && <p>Loading…</p>}
      {answer !== undefined && channel === undefined && <p class='note'>The notification channel is off (<code>PROXY_CHANNEL=off</code>): its paths are forwarded to the API like all others.</p>}
      {channel !== undefined && (
        <>
          <Link details={channel.details ?? {}} state={<PartState part={channel} />} now={now} />
          <LiveEvents />
        </>
      )}
    </>
  )
}

type Details = Record<string, unknown>

function Link ({ details, state, now }: { details: Details, state: ComponentChildren, now: number }) {
  const time = (name: string): string => typeof details[name] === 'string' ? `${formatAgo(details[name], now)} (${formatDate(details[name])})` : '–'
  const count = (name: string): string => typeof details[name] === 'number' ? formatCount(details[name]) : '–'
  const listeners = (details['listeners'] ?? {}) as Record<string, number>
  const lastClose = details['last_close'] as { code: number, at: string } | null | undefined
  const facts: Array<[string, ComponentChildren]> = [
    ['Connection', <span key='state'>{formatName(String(details['state']))} {state}</span>],
    ['Mode', String(details['mode'])],
    ['Connected since', time('connected_since')],
    ['Last message', time('last_message_at')],
    ['Messages', count('messages')],
    ['Listeners', Object.entries(listeners).filter(([, open]) => open > 0).map(([kind, open]) => `${open} ${formatName(kind)}`).join(', ') || 'none'],
    ['Virtual channels', count('channels')],
    ['Subscriptions', count('subscriptions')],
    ['Unanswered requests', count('unanswered_requests')],
    ['Connects', count('connects')],
    ['Evictions', count('evictions')],
    ['Gaps', count('gaps')],
    ['Last close', lastClose ? `code ${lastClose.code}, ${formatAgo(lastClose.at, now)}` : '–'],
    ['Taken by', details['taken_by'] === null || details['taken_by'] === undefined ? '–' : String(details['taken_by'])]
  ]
  return (
    <section class='card' aria-label='Connection to the API'>
      <dl class='facts grid'>{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
    </section>
  )
}

/** Listening counts as a listener: with the channel on demand it may open it, so it takes a click. */
function LiveEvents () {
  const [listening, setListening] = useState(false)
  const [connected, setConnected] = useState(false)
  const [events, setEvents] = useState<SeenEvent[]>([])
  const counter = useRef(0)
  useEffect(() => {
    if (!listening) return
    const source = new EventSource('/_proxy/notifications')
    const add = (added: ChannelEvent[]): void => {
      const at = new Date().toISOString()
      const seen = added.map(event => ({ ...event, at, key: ++counter.current })).reverse()
      setEvents(last => [...seen, ...last].slice(0, mostEvents))
    }
    source.onopen = () => setConnected(true)
    source.onmessage = ({ data }) => add(listEvents(String(data)))
    source.addEventListener('gap', ({ data }) => add([{ kind: 'gap', device: '', text: `something is missing: ${(JSON.parse(data as string) as { reason: string }).reason}` }]))
    source.addEventListener('channel', ({ data }) => add([{ kind: 'channel', device: '', text: String((JSON.parse(data as string) as { state?: unknown }).state ?? data) }]))
    source.onerror = () => {
      setConnected(false)
      if (source.readyState !== EventSource.CLOSED) return
      setListening(false)
      ask('/_proxy/session').catch((error: unknown) => { if (error instanceof AnswerError && error.status === 401) reportLostSession() })
    }
    return () => {
      source.close()
      setConnected(false)
    }
  }, [listening])
  return (
    <section aria-label='Live events'>
      <h2 class='with-button'>Live events <button class={`live ${connected ? 'on' : listening ? 'connecting' : ''}`} aria-pressed={listening} onClick={() => setListening(!listening)}><i class='dot' />{listening ? connected ? 'Listening' : 'Connecting' : 'Listen'}</button></h2>
      {!listening && events.length === 0 && <p class='note'>Listening opens the channel if it is on demand and nobody listens yet. Events go to everybody who listens; none is taken from anyone.</p>}
      {listening && events.length === 0 && <p class='note' role='status'>Nothing yet. Events appear here as devices send them.</p>}
      {events.length > 0 && (
        <div class='scrolled' tabIndex={0} role='region' aria-label='Events'>
          <table class='events'>
            <thead><tr><th scope='col'>Time</th><th scope='col'>Event</th><th scope='col'>Device</th><th scope='col'>Content</th></tr></thead>
            <tbody>{events.map(({ key, at, kind, device, text }) => <tr key={key}><td>{formatTime(at)}</td><td>{kind}</td><td><code>{device}</code></td><td><code>{text}</code></td></tr>)}</tbody>
          </table>
        </div>
      )}
    </section>
  )
}
