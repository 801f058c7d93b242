/**
 * Reads type, message and request id out of an error body of the API while it passes by. The body itself is never kept:
 * what is collected here (at most 64 KiB) is forgotten once it has been read.
 *
 * Bodies seen: the error object `{object:"error", code, type, message, request_id, fields}`; plain strings of the v2
 * services (`QUEUE_IS_FULL`), with or without JSON's quotes; a gateway's HTML page.
 */
export interface ErrorFacts { type: string | null, message: string | null, requestId: string | null }

export interface ErrorBodyReader {
  push (chunk: Buffer): void
  end (): ErrorFacts
}

const maxBytes = 64 * 1024
const longestType = 100
const longestMessage = 1000
const longestRequestId = 128
const nothing: ErrorFacts = { type: null, message: null, requestId: null }

/** `undefined` for bodies that can't hold an error text: images, archives. */
export function createErrorReader (status: number, contentType: string | undefined): ErrorBodyReader | undefined {
  if (status < 400 || !mayHoldText(contentType)) return undefined
  const chunks: Buffer[] = []
  let bytes = 0
  return {
    push (chunk) {
      if (bytes >= maxBytes) return
      chunks.push(bytes + chunk.length > maxBytes ? chunk.subarray(0, maxBytes - bytes) : chunk)
      bytes += chunk.length
    },
    end: () => bytes === 0 ? nothing : readErrorBody(Buffer.concat(chunks).toString('utf8'), bytes > maxBytes)
  }
}

function mayHoldText (contentType: string | undefined): boolean {
  return contentType === undefined || /^\s*(text\/|application\/(.*json|.*xml|problem|octet-stream))/i.test(contentType)
}

/** `cut`: the text isn't the whole body. */
export function readErrorBody (text: string, cut: boolean): ErrorFacts {
  const trimmed = text.trim()
  if (trimmed === '' || isBinary(trimmed)) return nothing
  if (trimmed.startsWith('<')) return { ...nothing, message: readTitle(trimmed) }
  if (trimmed.startsWith('{')) return cut ? readCutObject(trimmed) : readObject(trimmed)
  return readPlain(trimmed.startsWith('"') ? parse(trimmed) : trimmed)
}

/** Compressed, or not UTF-8. */
function isBinary (text: string): boolean {
  // eslint-disable-next-line no-control-regex
  return /[\u0000-\u0008\u000e-\u001f\ufffd]/.test(text.slice(0, 1000))
}

function readTitle (html: string): string | null {
  return shorten(/<title[^>]*>([^<]*)/i.exec(html)?.[1]?.trim(), longestMessage)
}

function parse (json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

function readObject (json: string): ErrorFacts {
  const body = parse(json)
  if (typeof body !== 'object' || body === null) return readCutObject(json)
  const { type, error, message, error_description: description, request_id: requestId, fields } = body as Record<string, unknown>
  return {
    type: shorten(type ?? error, longestType),
    message: shorten(addFields(message ?? description, fields), longestMessage),
    requestId: shorten(requestId, longestRequestId)
  }
}

/** The API's schema has a list of {name, message}; one service says {field, message}, certificates an object of messages. */
function addFields (message: unknown, fields: unknown): unknown {
  if (typeof message !== 'string' || typeof fields !== 'object' || fields === null) return message
  const named = Array.isArray(fields) ? fields.map(nameField) : Object.entries(fields).map(([name, fault]) => `${name}: ${String(fault)}`)
  return named.length === 0 ? message : `${message} (${named.slice(0, 10).join('; ')})`
}

function nameField (fault: unknown): string {
  const { name, field, message } = (fault ?? {}) as Record<string, unknown>
  return `${String(name ?? field ?? '?')}: ${String(message ?? '')}`
}

const cutFields = { type: /"type"\s*:\s*("(?:[^"\\]|\\.){0,200}")/, message: /"message"\s*:\s*("(?:[^"\\]|\\.){0,2000}")/, requestId: /"request_id"\s*:\s*("(?:[^"\\]|\\.){0,200}")/ }

/** Too long or broken JSON: what stands at its beginning. */
function readCutObject (json: string): ErrorFacts {
  const find = (pattern: RegExp, longest: number) => shorten(parse(pattern.exec(json)?.[1] ?? 'null'), longest)
  return { type: find(cutFields.type, longestType), message: find(cutFields.message, longestMessage), requestId: find(cutFields.requestId, longestRequestId) }
}

/** A bare code is the type, a sentence the message. */
function readPlain (text: unknown): ErrorFacts {
  const line = shorten(text, longestMessage)
  if (line === null) return nothing
  return { ...nothing, type: /^[A-Z][A-Z0-9_]{2,63}$/.test(line) ? line : null, message: line }
}

function shorten (value: unknown, longest: number): string | null {
  return typeof value === 'string' && value !== '' ? value.slice(0, longest) : null
}
