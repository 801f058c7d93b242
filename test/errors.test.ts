import t from 'tap'
import { catalogue, errorBody, isProxyError, proxyError, type ErrorType } from '../src/errors.ts'

t.test('every type is an error of its status that says what to do', async t => {
  for (const [type, { code, message, solve }] of Object.entries(catalogue)) {
    const error = proxyError(type as ErrorType)
    t.match(error, { type, message, statusCode: code, name: 'FastifyError' })
    t.ok(isProxyError(error))
    t.same(errorBody(error, 'abc'), { object: 'error', code, type, message, request_id: 'abc' })
    t.ok(solve.length > 20, `${type} has a next step`)
  }
})

t.test('details stay where they belong', async t => {
  const cause = new Error('connect ECONNREFUSED 10.0.0.1:443')
  const error = proxyError('validation_error', { message: 'Wrong.', fields: [{ name: 'limit', message: 'Too small.' }], cause, retryAfter: 3 })
  t.same(errorBody(error, 'x'), { object: 'error', code: 400, type: 'validation_error', message: 'Wrong.', request_id: 'x', fields: [{ name: 'limit', message: 'Too small.' }] })
  t.equal(error.cause, cause)
  t.equal(error.retryAfter, 3)
  t.equal(isProxyError(new Error('other')), false)
  t.equal(isProxyError('text'), false)
})
