import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { UsageError, type Command, type Invocation, type OptionValue, type Terminal } from './command.ts'
import { describeAnswer, describeFailure, LineWatch, TailWatch, type Failure } from './get-failure.ts'
import { Progress } from './get-progress.ts'
import { answerOf, askListener, askUrl, buildTarget, type Asked } from './get-target.ts'

export const command: Command = {
  name: 'get',
  summary: 'get something from the API through the running proxy, all pages of a list at once',
  help: `
Asks the proxy at PROXY_LISTEN, or the one at --url. What comes goes to standard output as it is; what went wrong to standard error.

  izuma-proxy get /v3/devices/0175a3f2c1d40242ac12000200000000
  izuma-proxy get /v3/devices --all --filter state=registered > devices.ndjson
  izuma-proxy get /v3/devices --all --filter created_at__gte=2026-01-31T00:00:00Z --filter custom_attributes__site=north
  izuma-proxy get '/v3/device-events?order=DESC' --max 20
  izuma-proxy get /v3/users --all --format json --token-file alice.token --url http://proxy.example:8080

--all follows a list page by page and prints one entity a line (--format ndjson), or one JSON list (--format json). --max N ends after N of
them, --after TOKEN goes on where an earlier one ended. A --filter without an operator means "equals"; it may be given several times.
On a terminal, standard error shows how far it is. Exits 1 if the API or the proxy answered with an error, also in the middle of a list.`,
  options: {
    all: { type: 'boolean' },
    filter: { type: 'string', multiple: true },
    max: { type: 'string' },
    after: { type: 'string' },
    format: { type: 'string' },
    'token-file': { type: 'string' },
    url: { type: 'string' }
  },
  takesSettings: true,
  takesArguments: true,
  async run (invocation) {
    const wish = readWish(invocation)
    const url = text(invocation.options['url'])
    const settings = url === undefined ? invocation.settings() : undefined
    const { terminal } = invocation
    const leaving = new AbortController()
    // `… | head`: whoever read has had enough.
    const broken = watchOutput(terminal, error => leaving.abort(error))
    terminal.interrupted.addEventListener('abort', () => leaving.abort(new Error('interrupted')), { once: true })
    try {
      const asked: Asked = { target: wish.target, accept: acceptOf(wish), token: wish.token, signal: leaving.signal }
      const answer = await answerOf(settings === undefined ? askUrl(url ?? '', asked) : askListener(settings, asked))
      return await print(answer, wish, terminal, leaving.signal)
    } catch (error) {
      const cause = broken.by ?? error as NodeJS.ErrnoException
      if (cause.code === 'EPIPE') return 0
      throw explain(cause, leaving.signal)
    }
  }
}

interface Wish {
  target: string
  isList: boolean
  format: 'ndjson' | 'json'
  token: string | undefined
}

function readWish ({ args, options }: Invocation): Wish {
  const [path, ...more] = args
  if (path === undefined || more.length > 0) throw new UsageError('get takes one PATH: izuma-proxy get /v3/devices --all')
  const maxItems = text(options['max'])
  const isList = options['all'] === true || maxItems !== undefined
  const format = text(options['format'])
  if (format !== undefined && !isList) throw new UsageError('--format is for lists: add --all or --max')
  if (format !== undefined && format !== 'ndjson' && format !== 'json') throw new UsageError(`--format ${format}: expected ndjson or json`)
  const after = text(options['after'])
  const target = buildTarget(after === undefined ? path : addParameter(path, 'after', after), { all: isList, maxItems, filters: texts(options['filter']) })
  return { target, isList, format: format ?? 'ndjson', token: readToken(text(options['token-file'])) }
}

function text (value: OptionValue): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function texts (value: OptionValue): string[] {
  return Array.isArray(value) ? value.map(String) : []
}

function addParameter (path: string, name: string, value: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}${name}=${encodeURIComponent(value)}`
}

function readToken (file: string | undefined): string | undefined {
  if (file === undefined) return undefined
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new UsageError(`--token-file ${file}: cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`)
  }
}

function acceptOf ({ isList, format }: Wish): string {
  if (!isList) return '*/*'
  return format === 'json' ? 'application/json' : 'application/x-ndjson'
}

async function print (answer: IncomingMessage, { isList, format }: Wish, terminal: Terminal, signal: AbortSignal): Promise<number> {
  const { stderr } = terminal
  for (const advice of readAdvice(answer)) stderr.write(`izuma-proxy: note: ${advice}\n`)
  if ((answer.statusCode ?? 0) >= 400) {
    const body = Buffer.concat(await answer.toArray() as Buffer[]).toString('utf8')
    stderr.write(`izuma-proxy: ${describeAnswer(answer.statusCode ?? 0, body, String(answer.headers['x-request-id'] ?? ''))}\n`)
    return 1
  }
  const progress = new Progress(terminal, () => performance.now())
  try {
    const failure = await printBody(answer, !isList ? undefined : format === 'json' ? new TailWatch() : new LineWatch(), terminal, progress, signal)
    if (failure === undefined) return 0
    stderr.write(`izuma-proxy: the list is incomplete: ${describeFailure(failure)}\n`)
    return 1
  } finally {
    progress.clear()
  }
}

/** `watch` looks for the failure of a list; anything else has none that its status doesn't tell of. */
async function printBody (answer: IncomingMessage, watch: LineWatch | TailWatch | undefined, terminal: Terminal, progress: Progress, signal: AbortSignal): Promise<Failure | undefined> {
  const items = () => watch instanceof LineWatch ? watch.items : undefined
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    for (const ready of watch?.push(chunk) ?? [chunk]) await write(terminal, ready, signal)
    progress.show(items(), bytes)
  }
  const { rest, failure } = watch?.end() ?? { rest: Buffer.alloc(0), failure: undefined }
  await write(terminal, rest, signal)
  await flush(terminal)
  if (watch !== undefined) progress.finish(items(), bytes)
  return failure
}

/** The texts of X-Proxy-Advice (RFC 9651). */
function readAdvice ({ headers }: IncomingMessage): string[] {
  return [...String(headers['x-proxy-advice'] ?? '').matchAll(/;text="((?:[^"\\]|\\.)*)"/g)].map(([, given = '']) => given.replace(/\\(.)/g, '$1'))
}

async function write ({ stdout }: Terminal, chunk: Buffer, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  if (chunk.length === 0 || stdout.write(chunk)) return
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const leave = () => reject(signal.reason as Error)
  stdout.once('drain', resolve)
  signal.addEventListener('abort', leave, { once: true })
  try {
    await promise
  } finally {
    stdout.removeListener('drain', resolve)
    signal.removeEventListener('abort', leave)
  }
}

/** Everything has been handed to whoever reads: then it is known whether they still do. */
function flush ({ stdout }: Terminal): Promise<void> {
  return new Promise((resolve, reject) => stdout.write('', error => error ? reject(error) : resolve()))
}

function watchOutput ({ stdout }: Terminal, onBroken: (error: Error) => void): { by: NodeJS.ErrnoException | undefined } {
  const broken: { by: NodeJS.ErrnoException | undefined } = { by: undefined }
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    broken.by ??= error
    onBroken(error)
  })
  return broken
}

function explain (error: unknown, signal: AbortSignal): Error {
  if (error instanceof UsageError) return error
  if (signal.aborted && signal.reason instanceof Error) return signal.reason
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ECONNREFUSED' || code === 'ENOENT') return new Error('no proxy listens there: start one with izuma-proxy start, or say where with --listen or --url')
  if (code === 'ECONNRESET') return new Error('the proxy broke the connection: what came is incomplete')
  return new Error(message)
}
