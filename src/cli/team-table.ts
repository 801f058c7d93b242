import { expiryOf, formatTime } from '../team/team-edit.ts'
import type { MemberJson } from '../team/team-schema.ts'

/** One member as `team list --json` shows it; the table is made from the same. */
export function summarize (name: string, nowMs: number, { role = 'member', tokens = [], mode = 'enforce', presets = [], allow = [], deny = [], devices = [], ...limits }: MemberJson) {
  const live = tokens.filter(token => expiryOf(token) > nowMs)
  const expiries = live.map(expiryOf).filter(Number.isFinite)
  return {
    name,
    role,
    tokens: live.length,
    expired_tokens: tokens.length - live.length,
    next_expiry: expiries.length === 0 ? null : formatTime(Math.min(...expiries)),
    mode,
    presets,
    allow,
    deny,
    devices,
    rate: limits.rate ?? null,
    concurrency: limits.concurrency ?? null,
    daily: limits.daily ?? null
  }
}

export type Row = ReturnType<typeof summarize>

export function renderTable (rows: Row[]): string {
  if (rows.length === 0) return 'Nobody yet: izuma-proxy team add NAME'
  const lines = [['NAME', 'ROLE', 'TOKENS', 'POLICY', 'LIMITS'], ...rows.map(row => [row.name, row.role, describeTokens(row), describePolicy(row), describeLimits(row)])]
  const widths = [0, 1, 2, 3].map(column => Math.max(...lines.map(line => (line[column] as string).length)))
  return lines.map(line => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()).join('\n')
}

function describeTokens ({ tokens, expired_tokens: expired, next_expiry: next }: Row): string {
  const parts = [`${tokens}`, ...(next === null ? [] : [`next ends ${next}`]), ...(expired === 0 ? [] : [`${expired} expired`])]
  return parts.join(', ')
}

function describePolicy ({ mode, presets, allow, deny, devices }: Row): string {
  const parts = [
    ...(mode === 'report' ? ['report only'] : []),
    ...presets,
    ...(allow.length === 0 ? [] : [`${allow.length} allowed`]),
    ...(deny.length === 0 ? [] : [`${deny.length} denied`]),
    ...(devices.length === 0 ? [] : ['some devices'])
  ]
  return parts.length === 0 ? 'default' : parts.join(', ')
}

function describeLimits ({ rate, concurrency, daily }: Row): string {
  const parts = [...(rate === null ? [] : [rate]), ...(concurrency === null ? [] : [`${concurrency} open`]), ...(daily === null ? [] : [`${daily} a day`])]
  return parts.length === 0 ? 'none' : parts.join(', ')
}
