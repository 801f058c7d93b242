import { setTimeout as pause } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { startRawApi } from '../support/api-server.ts'
import { ask } from '../support/client.ts'
import { fuzzRuns } from '../support/fuzz.ts'
import { makeAccessKey, startProxy } from '../support/proxy.ts'
import { findWindows } from '../support/leaks.ts'
import { openPeer } from '../support/sockets.ts'

const accessKey = makeAccessKey('K')
const flags = { '--upstream-headers-timeout': '2s', '--upstream-body-idle-timeout': '2s', '--log-level': 'error' }

/** Of its own for each request, and longer than what a mutation could make by chance. */
const markerOf = (name: string) => `<${name.padStart(12, '.')}>`
const markers = /<[a-z0-9.-]{12,}>/g
const answer = (body: string, headers = '') => `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`
const chunked = (body: string) => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
const poison = answer(markerOf('poison'))

type Misbehave = (socket: TLSSocket, own: string) => unknown

/** What an upstream may do to one request. The first ones are honest; after the others the connection must never serve anybody again. */
const behaviours: Record<string, Misbehave> = {
  honest: (socket, own) => socket.write(answer(own)),
  chunked: (socket, own) => socket.write(chunked(own)),
  slow: async (socket, own) => { await pause(Math.random() * 20); socket.write(answer(own)) },
  pieces: async (socket, own) => { for (const piece of answer(own).match(/[^]{1,40}/g) ?? []) { socket.write(piece); await pause(0) } },
  'a second answer in the same segment': (socket, own) => socket.write(answer(own) + poison),
  'a body longer than its length': (socket, own) => socket.write(answer(own) + markerOf('poison')),
  'bytes behind the last chunk': (socket, own) => socket.write(chunked(own) + markerOf('poison')),
  'half a body, then the end': (socket, own) => socket.end(answer(own).slice(0, -6)),
  'half a body, then an answer': (socket, own) => socket.write(chunked(own).slice(0, -9) + poison),
  'two lengths': socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nhello' + poison),
  'a length beside chunked': socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n' + poison),
  'a head of 20 KiB': socket => socket.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_480)}\r\n\r\n` + poison),
  'a status that is none': socket => socket.write('HTTP/1.1 0 OK\r\n\r\n' + poison),
  'a 101 nobody asked for': socket => socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n' + poison),
  'a 204 with a body': socket => socket.write(`HTTP/1.1 204 No Content\r\nContent-Length: ${markerOf('poison').length}\r\n\r\n` + markerOf('poison')),
  'hundreds of 103': (socket, own) => socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(300) + answer(own)),
  'a bare LF': socket => socket.write('HTTP/1.1 200 OK\nContent-Length: 5\n\nhello' + poison),
  'a Trailer beside a length': (socket, own) => socket.write(answer(own, 'Trailer: x\r\n')),
  'a reason phrase beyond Latin-1': (socket, own) => socket.write(Buffer.from(answer(own).replace('OK', '€'))),
  garbage: socket => socket.write('\x00\xff\x00' + poison, 'latin1'),
  nothing: socket => socket.destroy()
}
const kinds = Object.keys(behaviours)
const honest = new Set(kinds.slice(0, 4))

/** Answers `/…/NAME/NUMBER-OF-BEHAVIOUR` with the marker of NAME, as the behaviour has it. */
async function startHostile (t: Test) {
  const api = await startRawApi(t, (socket, head) => {
    const [, name = '', kind = '0'] = /^[A-Z]+ \/([a-z0-9-]+)\/([0-9]+) /.exec(head) ?? []
    behaviours[kinds[Number(kind)] as string]?.(socket, markerOf(name))
  })
  return await startProxy(t, { api, accessKey, flags: { ...flags, '--upstream-connections': '8' } })
}

// A connection to the API is shared by everybody: an answer too many, or a byte too many, that the next one on it gets, is somebody
// else's (response queue poisoning; Node CVE-2026-48931 on idle connections).
t.test('many requests over few connections, honest answers and hostile ones mixed: nobody gets another\'s', { timeout: 600_000 }, async t => {
  const proxy = await startHostile(t)
  const { numRuns } = fuzzRuns(2 * 3 * kinds.length)
  const wrong: string[] = []
  let answered = 0
  let next = 0
  const client = async (): Promise<void> => {
    while (next < numRuns) {
      const number = next++
      const kind = number % 2 === 0 ? number / 2 % honest.size : (number - 1) / 2 % kinds.length
      const own = markerOf(`r-${number}`)
      const { status, text } = await ask(proxy.url, `/r-${number}/${kind}`).catch(() => ({ status: 0, text: '' }))
      const others = (text.match(markers) ?? []).filter(marker => marker !== own)
      if (others.length > 0) wrong.push(`${kinds[kind]}: ${others.join()}`)
      if (status === 200 && text === own) answered++
      else if (honest.has(kinds[kind] as string)) wrong.push(`${kinds[kind]}, number ${number}: ${status} ${text.slice(0, 80)}`)
    }
  }
  await Promise.all(Array.from({ length: 16 }, client))
  t.same(wrong, [])
  t.ok(answered > numRuns / 2, `${answered} of ${numRuns} got their answer whole`)
  t.equal((await ask(proxy.url, '/r-end/0')).text, markerOf('r-end'), 'and it lives')
})

// One that comes while the next request is under way nobody can tell from that request's answer. One that comes before it can be told.
t.test('an answer on an idle connection is nobody\'s: the connection is closed, and the next request gets its own', async t => {
  let closed = Promise.resolve()
  const api = await startRawApi(t, (socket, head) => {
    socket.write(answer(markerOf(/^GET \/([a-z0-9-]+) /.exec(head)?.[1] ?? '')))
    closed = new Promise(resolve => { socket.once('close', () => resolve()) })
    setTimeout(() => socket.write(poison), Math.random() * 8)
  })
  const proxy = await startProxy(t, { api, accessKey, flags: { ...flags, '--upstream-connections': '1', '--upstream-warm-connections': '0' } })
  for (let number = 0; number < 10; number++) {
    t.equal((await ask(proxy.url, `/i-${number}`)).text, markerOf(`i-${number}`))
    await closed
  }
  t.equal(api.connections, 10)
})

const piece = fc.oneof(
  fc.constantFrom('\r\n', '\n', '\r', '\0', ' ', '\t', ':', '\r\n\r\n', 'HTTP/1.1 ', '200', '204', '101', '304', '100', 'Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n', 'Connection: close\r\n', 'Connection: content-length\r\n', 'Trailer: x\r\n', 'Upgrade: h2c\r\n', 'Content-Encoding: gzip\r\n', '0\r\n\r\n', 'ffffffff\r\n', '-1', '€', '\xff', ';a="', 'Set-Cookie: a\r\n', poison),
  fc.string({ maxLength: 6, unit: 'binary' })
)
const edit = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), drop: fc.nat(12), put: piece })
const base = fc.constantFrom(answer, chunked, (own: string) => `HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${own}`, (own: string) => `HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: ${own.length + 13}\r\n\r\n{"message":"${own}`, (own: string) => `HTTP/1.1 103 Early Hints\r\n\r\n${answer(own)}`)

// Whatever comes back was written by somebody else: no sequence of bytes may end this process, or leave a connection that
// answers the next request with what was left over from this one.
t.test('answers with a few bytes changed: the process lives, and the next request gets its own answer', { timeout: 600_000 }, async t => {
  let bytes = Buffer.alloc(0)
  const api = await startRawApi(t, (socket, head) => {
    const name = /^GET \/fine\/([0-9]+) /.exec(head)?.[1]
    if (name !== undefined) socket.write(answer(markerOf(name)))
    else if (head.startsWith('HEAD')) socket.end(bytes)
    else { socket.write(bytes); setTimeout(() => socket.destroy(), 30) }
  })
  const proxy = await startProxy(t, { api, accessKey, flags: { ...flags, '--upstream-connections': '1', '--upstream-warm-connections': '0', '--upstream-headers-timeout': '500ms', '--upstream-body-idle-timeout': '500ms' } })
  let count = 0
  await fc.assert(fc.asyncProperty(base, fc.array(edit, { minLength: 1, maxLength: 4 }), fc.constantFrom('GET', 'GET', 'POST', 'HEAD'), async (make, edits, method) => {
    const number = String(++count)
    let text = make(markerOf(`m-${number}`))
    for (const { at, drop, put } of edits) {
      const from = Math.floor(at * text.length)
      text = text.slice(0, from) + put + text.slice(from + drop)
    }
    bytes = Buffer.from(text)
    await ask(proxy.url, '/mutated', { method }).catch(() => undefined)
    const fine = await ask(proxy.url, `/fine/${number}`)
    if (fine.text !== markerOf(number)) throw new Error(`${fine.status} ${fine.text.slice(0, 200)} behind ${JSON.stringify(text)}`)
  }), { ...fuzzRuns(40), numRuns: Math.min(fuzzRuns(40).numRuns, 2000), interruptAfterTimeLimit: 400_000 })
})

// A vendor's error page that repeats the key it didn't like does so wherever it likes.
t.test('the key in a reason phrase', async t => {
  const api = await startRawApi(t, socket => socket.write(answer('').replace('200 OK', `401 Not a key: ${accessKey}`)))
  const proxy = await startProxy(t, { api, accessKey })
  const { socket, received, until } = await openPeer({ port: proxy.port, host: '127.0.0.1' }, 'GET /v3/devices HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until(/\r\n\r\n/)
  socket.destroy()
  t.match(received(), /^HTTP\/1\.1 401 Not a key: \[access key removed\]\r\n/)
  t.same(findWindows(received(), accessKey.slice(-32)), [])
})
