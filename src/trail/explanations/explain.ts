import { catalogue, type ErrorType } from '../../errors.ts'
import type { TrailRecord } from '../record.ts'
import { accessRules } from './access.ts'
import { channelRules } from './channel.ts'
import { deviceRules } from './devices.ts'
import { laterRules } from './later.ts'
import { requestRules } from './requests.ts'
import { sources, type Explanation, type Rule } from './rule.ts'

/** The API's documented rules, special before general. */
export const rules: Rule[] = [...accessRules, ...deviceRules, ...channelRules, ...requestRules, ...laterRules]

const outcomeTexts: Partial<Record<TrailRecord['outcome'], Pick<Explanation, 'rule' | 'likely' | 'next'>>> = {
  truncated: {
    rule: 'answer_broke_off',
    likely: 'The connection to the API ended in the middle of the answer, or stood still for too long.',
    next: 'What arrived is incomplete. The request may have been carried out: look before you repeat it.'
  },
  client_aborted: {
    rule: 'client_left',
    likely: 'The client closed its connection before the answer was complete, often because of its own time limit.',
    next: 'Compare the duration with the client\'s time limit. The API may have carried the request out.'
  },
  unfinished: {
    rule: 'proxy_ended',
    likely: 'The proxy itself ended before the answer came: it was killed or crashed.',
    next: 'The request may have been carried out: look before you repeat it.'
  }
}

type Explained = Pick<TrailRecord, 'outcome' | 'status' | 'error_type' | 'path' | 'query' | 'close_code' | 'async_status' | 'kind'>

/** `null` for a request that went well. */
export function explain (record: Explained): Explanation | null {
  if (record.outcome === 'refused' || record.outcome === 'failed') return explainOwn(record)
  const rule = rules.find(candidate => fits(candidate, record))
  if (rule !== undefined && hasFailed(record)) return { rule: rule.rule, likely: rule.likely, next: rule.next, source: rule.source }
  const text = record.kind === 'websocket' ? undefined : outcomeTexts[record.outcome]
  return text === undefined ? null : { ...text, source: sources.reference }
}

function hasFailed ({ status, close_code: closeCode, async_status: asyncStatus }: Explained): boolean {
  return (status ?? 0) >= 400 || (closeCode ?? 1000) > 1000 || (asyncStatus ?? 0) >= 400
}

function explainOwn ({ error_type: type }: Explained): Explanation | null {
  if (type === null || !Object.hasOwn(catalogue, type)) return null
  const { message, solve } = catalogue[type as ErrorType]
  return { rule: type, likely: message, next: solve, source: sources.reference }
}

function fits (rule: Rule, record: Explained): boolean {
  return includes(rule.status, record.status) &&
    includes(rule.type, record.error_type) &&
    includes(rule.closeCode, record.close_code) &&
    includes(rule.asyncStatus, record.async_status) &&
    includes(rule.outcome, record.outcome) &&
    (rule.path?.test(record.path) ?? true) &&
    (rule.query?.test(record.query) ?? true)
}

function includes<T> (wanted: T[] | undefined, value: T | null): boolean {
  return wanted === undefined || (value !== null && wanted.includes(value))
}
