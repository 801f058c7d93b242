import t from 'tap'
import { classifyFailure, maySendAgain, type BrokenExchange } from '../../src/upstream/failures.ts'

const coded = (code: string) => Object.assign(new Error(code), { code })

t.test('names each way an exchange can fail', async t => {
  const cases: Array<[unknown, boolean, string]> = [
    [coded('ECONNREFUSED'), false, 'upstream_unreachable'],
    [coded('ENOTFOUND'), false, 'upstream_unreachable'],
    [coded('EAI_AGAIN'), false, 'upstream_unreachable'],
    [new AggregateError([coded('ECONNREFUSED'), coded('ENETUNREACH')]), false, 'upstream_unreachable'],
    [coded('ECONNRESET'), false, 'upstream_unreachable'],
    [coded('UND_ERR_CONNECT_TIMEOUT'), false, 'upstream_timeout'],
    [coded('UND_ERR_HEADERS_TIMEOUT'), true, 'upstream_timeout'],
    [coded('CERT_HAS_EXPIRED'), false, 'upstream_tls_failed'],
    [coded('DEPTH_ZERO_SELF_SIGNED_CERT'), false, 'upstream_tls_failed'],
    [coded('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), false, 'upstream_tls_failed'],
    [coded('ERR_TLS_CERT_ALTNAME_INVALID'), false, 'upstream_tls_failed'],
    [coded('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'), false, 'upstream_tls_failed'],
    [coded('EPROTO'), false, 'upstream_tls_failed'],
    [coded('ECONNRESET'), true, 'upstream_invalid_response'],
    [coded('UND_ERR_SOCKET'), true, 'upstream_invalid_response'],
    [coded('HPE_INVALID_CONSTANT'), true, 'upstream_invalid_response'],
    [coded('UND_ERR_HEADERS_OVERFLOW'), true, 'upstream_invalid_response'],
    [new Error('wrapped', { cause: coded('ENOTFOUND') }), false, 'upstream_unreachable'],
    ['no error at all', true, 'upstream_invalid_response']
  ]
  for (const [error, sent, type] of cases) t.equal(classifyFailure(error, sent), type, `${String(error)} ${sent ? 'after' : 'before'} sending`)
})

t.test('sends again only what can do no harm and was lost on a stale connection', async t => {
  const stale: BrokenExchange = { method: 'GET', hasBody: false, reusedConnection: true, answerBegan: false, attempts: 1, failure: 'upstream_invalid_response' }
  t.equal(maySendAgain(stale), true)
  for (const method of ['HEAD', 'OPTIONS', 'PUT', 'DELETE']) t.equal(maySendAgain({ ...stale, method }), true, method)
  const refusals: Array<Partial<BrokenExchange>> = [
    { method: 'POST' }, { method: 'PATCH' }, { hasBody: true }, { reusedConnection: false }, { answerBegan: true },
    { attempts: 2 }, { attempts: 0 }, { failure: 'upstream_timeout' }, { failure: 'upstream_unreachable' }
  ]
  for (const change of refusals) t.equal(maySendAgain({ ...stale, ...change }), false, JSON.stringify(change))
})
