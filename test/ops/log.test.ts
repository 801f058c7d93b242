import { Writable } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import { createLogger, escapeControls } from '../../src/ops/log.ts'
import { createSink, endOfTurn } from '../support/ops-app.ts'

const asIs = (line: string) => line

t.test('writes one line of JSON with level, time and message', async t => {
  const sink = createSink()
  const log = await createLogger({ level: 'info', pretty: false, stream: sink.stream, redact: asIs })
  log.info({ region: 'eu-west-1' }, 'listening')
  log.debug('below the level')
  await endOfTurn()
  const [line, ...rest] = sink.lines()
  t.match(line, { level: 'info', region: 'eu-west-1', msg: 'listening', time: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/ })
  t.same(rest, [])
})

t.test('the scrub sees every line last, in JSON and pretty, messages and errors included', async t => {
  for (const pretty of [false, true]) {
    const sink = createSink()
    const log = await createLogger({ level: 'trace', pretty, stream: sink.stream, redact: line => line.replace(/planted-[a-z]+/g, '[removed]') })
    log.child({ bound: 'planted-bound' }).trace({ deep: { er: ['planted-deep'] }, err: new Error('planted-error', { cause: new Error('planted-cause') }) }, 'planted-message')
    await endOfTurn()
    t.notMatch(sink.text(), /planted/)
    t.match(sink.text(), /\[removed\]/)
  }
})

t.test('an error shows name, code, stack and causes, and nothing else that hangs on it', async t => {
  const sink = createSink()
  const log = await createLogger({ level: 'info', pretty: false, stream: sink.stream, redact: asIs })
  const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', headers: { authorization: 'Bearer hidden' } })
  log.error({ err: new TypeError('failed', { cause }) }, 'upstream failed')
  await endOfTurn()
  t.match(sink.lines()[0], { err: { type: 'TypeError', message: 'failed', cause: { code: 'ECONNREFUSED' } } })
  t.notMatch(sink.text(), /hidden/)
  const circular = new Error('around')
  circular.cause = circular
  log.error({ err: circular }, 'ends')
  log.error({ err: 'only a text' }, 'no error object')
  await endOfTurn()
  t.match(sink.lines()[2], { err: { type: 'string', message: 'only a text' } })
})

t.test('neither a terminal nor a collector is moved by what clients send', async t => {
  const attack = '/v3/\u001b]0;owned\u0007\u009b31m\r\n{"level":"fatal","msg":"forged"}\u2028\u202egnp.exe\u007f'
  for (const pretty of [false, true]) {
    const sink = createSink()
    const log = await createLogger({ level: 'info', pretty, stream: sink.stream, redact: asIs })
    log.info({ path: attack, err: Object.assign(new Error(attack)) }, 'request')
    log.info(attack)
    await endOfTurn()
    // eslint-disable-next-line no-control-regex -- controls are what it is looking for
    t.notMatch(sink.text(), /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u202e]/)
    if (!pretty) t.equal(sink.lines().length, 2)
    t.notMatch(sink.text(), /^[ \t]*\{"level":"fatal"/m)
  }
})

t.test('escaping leaves a parser the same text', async t => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), text => {
    const escaped = escapeControls(JSON.stringify({ text }))
    return JSON.parse(escaped).text === text && !/[\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff]/.test(escaped)
  }), { numRuns: 2000 })
})

t.test('colours are for terminals', async t => {
  for (const color of [false, true]) {
    const sink = createSink()
    const log = await createLogger({ level: 'info', pretty: true, color, stream: sink.stream, redact: asIs })
    log.warn('careful')
    await endOfTurn()
    t.equal(sink.text().includes('\u001b['), color)
    t.match(sink.text(), /careful/)
  }
})

t.test('a reader that stalls costs lines, not memory, and is told how many when it is back', async t => {
  const pending: Array<() => void> = []
  let text = ''
  let stalled = true
  const stream = new Writable({
    write (chunk, _encoding, done) {
      text += String(chunk)
      if (stalled) pending.push(done)
      else done()
    }
  })
  const log = await createLogger({ level: 'info', pretty: false, stream, redact: asIs })
  const filler = 'x'.repeat(64 * 1024)
  for (let index = 0; index < 200; index++) log.info({ filler }, 'line')
  await endOfTurn()
  t.ok(stream.writableLength < 5 * 1024 * 1024)
  stalled = false
  pending.shift()?.()
  await new Promise(resolve => { setImmediate(resolve) })
  const [, dropped] = /"dropped":(\d+)/.exec(text) ?? []
  t.equal(text.split('"msg":"line"').length - 1 + Number(dropped), 200)
})

t.test('a reader that left does not end the process', async t => {
  const stream = new Writable({ write (_chunk, _encoding, done) { done(new Error('EPIPE')) } })
  const log = await createLogger({ level: 'info', pretty: false, stream, redact: asIs })
  log.info('one')
  await new Promise(resolve => { setImmediate(resolve) })
  t.doesNotThrow(() => log.info('two'))
})
