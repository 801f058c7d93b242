import type { Part, Status } from './answers.ts'
import { formatAmount, formatDate, formatName, formatSpan } from './format.ts'
import { usePolling } from './polling.ts'

const words: Record<Part['state'], string> = { ok: 'OK', degraded: 'Degraded', failed: 'Failed' }
const tones: Record<Part['state'], string> = { ok: 'good', degraded: 'warn', failed: 'bad' }

export function PartState ({ part: { state, ready } }: { part: Pick<Part, 'state' | 'ready'> }) {
  return <span class={`state ${tones[state]}`}>{words[state]}{!ready && ', not ready'}</span>
}

export function HealthPage () {
  const { answer, failure } = usePolling<Status>('/_proxy/status', 5_000)
  if (answer === undefined) return failure === undefined ? <p>Loading…</p> : <p class='failure' role='alert'>{failure}</p>
  const { version, node, started_at: startedAt, uptime_seconds: uptime, parts, settings, draining } = answer
  return (
    <>
      {failure !== undefined && <p class='failure' role='alert'>{failure}</p>}
      <section class='card' aria-label='Program'>
        <dl class='facts grid'>
          <div><dt>State</dt><dd><PartState part={answer} />{draining && ' draining'}</dd></div>
          <div><dt>izuma-proxy</dt><dd>{version}</dd></div>
          <div><dt>Node.js</dt><dd>{node}</dd></div>
          <div><dt>Started</dt><dd>{formatDate(startedAt)}</dd></div>
          <div><dt>Up for</dt><dd>{formatSpan(uptime * 1000)}</dd></div>
        </dl>
      </section>
      <h2>Checks</h2>
      <div class='parts'>{Object.entries(parts).map(([name, part]) => <PartCard key={name} name={name} part={part} />)}</div>
      <h2>Settings</h2>
      {settings === undefined
        ? <p class='note'>Shown to admins only.</p>
        : (
          <div class='scrolled' tabIndex={0} role='region' aria-label='Settings'>
            <table class='settings'>
              <thead><tr><th scope='col'>Setting</th><th scope='col'>Value</th></tr></thead>
              <tbody>{Object.entries(settings).map(([name, value]) => <tr key={name}><th scope='row'><code>{name}</code></th><td>{value === null ? <span class='unset'>not set</span> : <code>{value}</code>}</td></tr>)}</tbody>
            </table>
          </div>
          )}
    </>
  )
}

function PartCard ({ name, part }: { name: string, part: Part }) {
  return (
    <section class='card' aria-label={formatName(name)}>
      <h3>{formatName(name)} <PartState part={part} /></h3>
      <dl class='facts'>{listDetails(part.details ?? {}).map(([label, value]) => <div key={label}><dt>{label}</dt><dd>{value}</dd></div>)}</dl>
    </section>
  )
}

/** Flat, with the names of inner objects before those of their members; what is empty is left out. */
function listDetails (details: Record<string, unknown>, prefix = ''): Array<[string, string]> {
  return Object.entries(details).flatMap(([name, value]): Array<[string, string]> => {
    const label = `${prefix}${formatName(name).replace(/ (?:ms|seconds)$/, '')}`
    if (value === null || value === undefined || value === '') return []
    if (Array.isArray(value)) return value.length === 0 ? [] : [[label, value.map(showValue).join(', ')]]
    if (typeof value === 'object') return listDetails(value as Record<string, unknown>, `${label}: `)
    return [[label, typeof value === 'number' ? formatAmount(name, value) : showValue(value)]]
  })
}

function showValue (value: unknown): string {
  if (typeof value === 'string') return /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value) ? formatDate(value) : value
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  return JSON.stringify(value)
}
