import type { IncomingMessage } from 'node:http'
import { answerError, errors, noContent, ok } from './answer.ts'
import type { Answer } from './answer.ts'
import { faultNames } from './faults.ts'
import { findFaults } from './misbehaviour.ts'
import type { MisbehaviourRule, MisbehaviourRules } from './misbehaviour.ts'
import type { RequestBody } from './request-body.ts'

const maxRuleBytes = 65_536
const loopback = /^(::1|127\.\d+\.\d+\.\d+|::ffff:127\.\d+\.\d+\.\d+)$/

interface AdminRequest { request: IncomingMessage, requestId: string, path: string, body: RequestBody }

/** `/_sandbox/misbehave`: rules over HTTP, without a key, but from this machine only. */
export async function answerAdmin (visit: AdminRequest, rules: MisbehaviourRules): Promise<Answer> {
  try {
    visit.body.start(maxRuleBytes)
    if (!loopback.test(visit.request.socket.remoteAddress ?? '')) throw errors.forbidden('Only from this machine.')
    if (visit.path !== '/_sandbox/misbehave') throw errors.notFound()
    return await answerRules(visit, rules)
  } catch (error) {
    return answerError(error, visit.requestId)
  }
}

async function answerRules ({ request, body }: AdminRequest, rules: MisbehaviourRules): Promise<Answer> {
  if (request.method === 'GET') return ok({ object: 'list', faults: faultNames, data: rules.list() })
  if (request.method === 'POST') return addRule(request, await body.whole(), rules)
  if (request.method !== 'DELETE') throw errors.methodNotAllowed()
  rules.clear()
  return noContent()
}

/** The content type is demanded so that a web page cannot do this unasked: for JSON a browser asks first (CORS preflight). */
function addRule (request: IncomingMessage, body: Buffer, rules: MisbehaviourRules): Answer {
  if (!/^application\/json\b/.test(request.headers['content-type'] ?? '')) throw errors.badRequest('Content-Type must be application/json.')
  const rule = parse(body)
  const faults = findFaults(rule)
  if (faults.length > 0) throw errors.validation(...faults.map(name => ({ name, message: 'Unknown, or of a wrong kind.' })))
  return { status: 201, json: { object: 'misbehaviour', id: rules.add(rule as MisbehaviourRule).id, rule } }
}

function parse (body: Buffer): Record<string, unknown> {
  try {
    const rule = JSON.parse(body.toString()) as unknown
    if (typeof rule === 'object' && rule !== null && !Array.isArray(rule)) return rule as Record<string, unknown>
  } catch {
    // Answered below, like any other text that is no object.
  }
  throw errors.badRequest('The body must be a JSON object.')
}
