import type { IncomingMessage, ServerResponse } from 'node:http'

const asksToContinue = /^100-continue$/i

/** `Expect: 100-continue` of HTTP/1.1 (RFC 9110 §10.1.1); an expectation nobody knows is no reason to refuse. */
function waitsForContinue ({ headers, httpVersion }: IncomingMessage): boolean {
  return headers.expect !== undefined && httpVersion === '1.1' && asksToContinue.test(headers.expect)
}

/** Says to go on once all rooms have let the headers in: an upload that is refused is never sent. */
export function askForBody (request: IncomingMessage, response: ServerResponse): void {
  if (waitsForContinue(request)) response.writeContinue()
}

/**
 * Calls back when the whole body is here, or as much of it as is kept in memory (64 KiB). Until then the request takes no
 * connection to the API: hundreds of clients that send a small body slowly would take them all from everybody else.
 */
export function awaitBody (request: IncomingMessage, done: () => void): void {
  if (isHere(request)) return done()
  request.on('readable', function look () {
    if (!isHere(request)) return
    request.removeListener('readable', look)
    done()
  })
}

function isHere (request: IncomingMessage): boolean {
  return request.complete || request.readableLength >= request.readableHighWaterMark
}
