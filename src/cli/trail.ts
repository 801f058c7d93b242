import { once } from 'node:events'
import type { Settings } from '../config/table.ts'
import { buildBundle, buildTimeline, type SupportBundle } from '../trail/bundle.ts'
import { formatMs, renderBundle } from '../trail/bundle-markdown.ts'
import { catchUp } from '../trail/catch-up.ts'
import { explain } from '../trail/explanations/explain.ts'
import { findPlaces } from '../trail/places.ts'
import { openReader, StoreMissingError } from '../trail/query/open.ts'
import type { ListQuery } from '../trail/query/parse.ts'
import type { TrailItem, TrailReader } from '../trail/query/reader.ts'
import { UsageError, type Command, type Invocation, type Terminal } from './command.ts'
import { renderCsvHeader, renderCsvLine } from './trail-csv.ts'
import { filterOptions, parseFilters } from './trail-filters.ts'
import { clean, renderTable, renderTailLine, type Paper } from './trail-table.ts'

export const command: Command = {
  name: 'trail',
  summary: 'look at what went through the proxy: list, show, tail, export',
  help: `
Reads the trail's store itself (PROXY_TRAIL), while the proxy runs or after it stopped.

  izuma-proxy trail list --since 1h --status error
  izuma-proxy trail list --member mia --path '/v3/devices*' --filter duration_ms__gte=500
  izuma-proxy trail list --find not_found --limit 100 --json
  izuma-proxy trail show ID            by X-Request-ID or X-Proxy-Request-ID: what happened, why, and a text for support
  izuma-proxy trail show ID --bundle   only the text for support (Markdown; with --json as JSON); takes several ids
  izuma-proxy trail show --bundle --since 10m --status error
  izuma-proxy trail tail --member mia
  izuma-proxy trail export --since 30d --format csv > trail.csv

Filters: --member, --method, --path (with * at the end), --status (404, 404,500, 4xx, error), --outcome, --since and
--until (1h ago, or a date), --find TEXT in path or error message, and --filter field__op=value for every other field,
with eq, neq, in, nin, gte, lte. list shows the latest ones, 50 unless --limit says otherwise (2 to 1000).`,
  options: { ...filterOptions, json: { type: 'boolean' }, bundle: { type: 'boolean' }, format: { type: 'string' } },
  takesSettings: true,
  takesArguments: true,
  async run (invocation) {
    const [action = 'list', ...ids] = invocation.args
    const run = Object.hasOwn(actions, action) ? actions[action] : undefined
    if (run === undefined) throw new UsageError(`there is no "trail ${action}": list, show, tail or export`)
    const query = parseFilters(invocation.options, Date.now())
    const settings = invocation.settings()
    const reader = await openStore(settings, invocation.terminal)
    if (reader === undefined) return 1
    try {
      return await run({ reader, query, ids, settings, invocation, print: makePrinter(invocation.terminal) })
    } finally {
      await reader.close()
    }
  }
}

interface Task {
  reader: TrailReader
  query: ListQuery
  ids: string[]
  settings: Settings
  invocation: Invocation
  print: (text: string) => Promise<void>
}

const actions: Record<string, (task: Task) => Promise<number>> = { list, show, tail, export: exportAll }

async function openStore (settings: Settings, { stderr }: Terminal): Promise<TrailReader | undefined> {
  const { folder, store } = findPlaces(settings)
  const complete = await catchUp(folder, store)
  if (!complete) stderr.write('izuma-proxy: some records are still on the journal, as the store cannot be written\n')
  try {
    return await openReader(store)
  } catch (error) {
    if (!(error instanceof StoreMissingError)) throw error
    stderr.write(`izuma-proxy: ${error.message} It begins with the first request; PROXY_TRAIL says where.\n`)
    return undefined
  }
}

/** Waits for a slow reader, and takes one that has seen enough (`| head`) for the end. */
function makePrinter ({ stdout, interrupted }: Terminal): (text: string) => Promise<void> {
  return async text => {
    if (stdout.write(text) || interrupted.aborted) return
    await Promise.race([once(stdout, 'drain'), once(stdout, 'close')])
  }
}

function describePaper ({ stdout, environment }: Terminal): Paper {
  return { columns: stdout.columns ?? 200, color: stdout.isTTY === true && !environment['NO_COLOR'] }
}

async function list ({ reader, query, invocation: { options, terminal }, print }: Task): Promise<number> {
  const page = await reader.list({ ...query, order: 'DESC' })
  if (options['json'] === true) await print(JSON.stringify(page, null, 2) + '\n')
  else if (page.data.length === 0) await print('Nothing found.\n')
  // The latest stands last, where the eye is.
  else await print(renderTable(page.data.toReversed(), describePaper(terminal)) + (page.has_more ? `There are older ones: --limit ${Math.min(1000, query.limit * 4)}, or --after ${page.data.at(-1)?.id}\n` : ''))
  return 0
}

async function show (task: Task): Promise<number> {
  const { ids, invocation: { options, terminal }, print } = task
  const bundled = options['bundle'] === true
  if (ids.length === 0 && !bundled) throw new UsageError('which one? izuma-proxy trail show ID')
  const items = ids.length === 0 ? (await task.reader.list({ ...task.query, limit: Math.min(100, task.query.limit) })).data : await findAll(task)
  if (items.length === 0) {
    terminal.stderr.write('izuma-proxy: the trail has no such request\n')
    return 1
  }
  const bundle = await makeBundle(task, items)
  if (options['json'] === true) await print(JSON.stringify(bundled ? bundle : items.map(item => ({ ...item, explanation: explain(item) })), null, 2) + '\n')
  else if (bundled) await print(renderBundle(bundle))
  else await print(`${items.map(renderStory).join('\n')}\nFor support, to be pasted:\n\n${renderBundle(bundle)}`)
  return 0
}

async function findAll ({ reader, ids }: Task): Promise<TrailItem[]> {
  const found: TrailItem[] = []
  for (const id of ids) found.push(...await reader.find(id))
  return found
}

async function makeBundle ({ reader }: Task, items: TrailItem[]): Promise<SupportBundle> {
  const requests = []
  for (const item of items) requests.push({ item, related: await reader.findRelated(item) })
  return buildBundle(requests, await reader.findProxies(items.map(({ id }) => id)), Date.now())
}

function renderStory (item: TrailItem): string {
  const explanation = explain(item)
  return [
    `${item.method} ${item.path}${item.query === '' ? '' : `?${item.query}`}`,
    `  ${item.status ?? 'no status'}, ${item.outcome}${item.error_type === null ? '' : `: ${item.error_type}`}${item.error_message === null || item.error_message === item.error_type ? '' : ` (${item.error_message})`}`,
    ...buildTimeline(item).map(({ at, offset_ms: offset, event }) => `  ${at}  ${`+${formatMs(offset)}`.padStart(9)}  ${event}`),
    `  request id ${item.upstream_request_id ?? 'none'}, the proxy's ${item.id}`,
    ...explanation === null ? [] : [`  likely: ${explanation.likely}`, `  next:   ${explanation.next}`, `  see:    ${explanation.source.url}`]
  ].map(clean).join('\n') + '\n'
}

const pollMs = 300

async function tail ({ reader, query, invocation: { options, terminal }, print }: Task): Promise<number> {
  let cursor = await reader.beginTail(query.after)
  const paper = describePaper(terminal)
  const render = options['json'] === true ? (item: TrailItem) => JSON.stringify(item) + '\n' : (item: TrailItem) => renderTailLine(item, paper)
  while (!terminal.interrupted.aborted && !(terminal.stdout as { destroyed?: boolean }).destroyed) {
    const changes = await reader.readChanges(query, cursor)
    cursor = changes.cursor
    if (changes.skipped > 0) terminal.stderr.write(`izuma-proxy: ${changes.skipped} more, too many to show; trail list has them\n`)
    // What is still open comes again when it has ended.
    for (const item of changes.items) if (item.outcome !== 'open') await print(render(item))
    await pause(pollMs, terminal.interrupted)
  }
  return 0
}

function pause (ms: number, interrupted: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(end, ms)
    function end (): void {
      clearTimeout(timer)
      interrupted.removeEventListener('abort', end)
      resolve()
    }
    interrupted.addEventListener('abort', end)
  })
}

/** Everything that fits, oldest first, page by page, whatever the size. */
async function exportAll ({ reader, query, invocation: { options, terminal }, print }: Task): Promise<number> {
  const format = String(options['format'] ?? 'ndjson')
  if (format !== 'ndjson' && format !== 'csv') throw new UsageError(`--format ${format}: expected ndjson or csv`)
  const most = options['limit'] === undefined ? Number.POSITIVE_INFINITY : query.limit
  if (format === 'csv') await print(renderCsvHeader())
  const render = format === 'csv' ? renderCsvLine : (item: TrailItem) => JSON.stringify(item) + '\n'
  let written = 0
  let after = query.after
  while (!terminal.interrupted.aborted && written < most) {
    const page = await reader.list({ ...query, order: 'ASC', limit: Math.min(1000, most - written), after })
    await print(page.data.map(render).join(''))
    written += page.data.length
    after = page.data.at(-1)?.id ?? null
    if (!page.has_more) break
  }
  return 0
}
