/**
 * The answer to a device request that waited: the asynchronous response as it came, and beside its base64 `payload` a
 * `payload-decoded` where that says something: text as a string, JSON as its value.
 */
export function makeAnswerBody (answerText: string): string {
  const { payload, ct } = JSON.parse(answerText) as { payload?: unknown, ct?: unknown }
  const decoded = typeof payload === 'string' ? decodePayload(payload, typeof ct === 'string' ? ct : '') : undefined
  if (decoded === undefined) return answerText
  return `${answerText.slice(0, -1)},"payload-decoded":${decoded}}`
}

/** As JSON text; `undefined` for what is neither text nor JSON. */
function decodePayload (payload: string, contentType: string): string | undefined {
  const bytes = Buffer.from(payload, 'base64')
  const type = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (/^application\/(.+\+)?json$/.test(type)) return readJson(bytes) ?? readPlain(bytes)
  return type === '' || type.startsWith('text/') ? readPlain(bytes) : undefined
}

function readJson (bytes: Buffer): string | undefined {
  try {
    return JSON.stringify(JSON.parse(bytes.toString()))
  } catch {
    return undefined
  }
}

function readPlain (bytes: Buffer): string | undefined {
  try {
    return JSON.stringify(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
}
