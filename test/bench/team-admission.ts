/**
 * What the room `team` costs a request on the thread that serves it: `node test/bench/team-admission.ts`.
 * Token look-up, policy and limits alone, without HTTP; microseconds each, the median of nine rounds.
 */
import { createCredential } from '../../src/team/credential.ts'
import { LocalLimits } from '../../src/team/limits-local.ts'
import { Roster } from '../../src/team/roster.ts'
import { decodeTeam } from '../../src/team/team-file.ts'
import { createToken, digestToken } from '../../src/team/token.ts'

const keyDefaults = { concurrency: 256, longPolls: null }
const clock = { nowMs: () => performance.now(), wallMs: () => Date.now(), delay: () => () => {} }

function makeRules (count: number, seed: number): string[] {
  return Array.from({ length: count }, (_, index) => `GET,PUT /v3/${['devices', 'device-groups', 'update-campaigns', 'firmware-images'][index % 4]}/${seed}x${index}/**`)
}

/** Every member has rules of its own: nothing is shared. */
function makeTeam (memberCount: number, ruleCount: number) {
  const tokens = Array.from({ length: memberCount }, createToken)
  const members = Object.fromEntries(tokens.map((token, index) => [`member-${index}`, {
    tokens: [{ sha256: digestToken(token) }],
    ...(ruleCount > 1 && { allow: ['/**', ...makeRules(ruleCount / 2 - 1, index)], deny: makeRules(ruleCount / 2, index).map(rule => rule.replace('GET,PUT', 'DELETE')) }),
    rate: '1000000/s',
    concurrency: 1000,
    daily: 1_000_000_000
  }]))
  return { tokens, text: JSON.stringify({ key: { concurrency: 256 }, members }) }
}

/** CPU time, not the wall clock's: other work on the machine doesn't count. */
function measure (work: (index: number) => void, rounds = 9, times = 20_000): number {
  const took = Array.from({ length: rounds }, () => {
    const before = process.cpuUsage()
    for (let index = 0; index < times; index++) work(index)
    const { user, system } = process.cpuUsage(before)
    return (user + system) / times
  })
  return took.toSorted((a, b) => a - b)[Math.floor(rounds / 2)] as number
}

console.log('| members | rules each | load file, ms | token, µs | policy, µs | limits, µs | together, µs |\n|---|---|---|---|---|---|---|')
for (const [memberCount, ruleCount] of [[1, 1], [10, 1], [10, 100], [1000, 10], [10_000, 1], [10_000, 100]] as const) {
  const { tokens, text } = makeTeam(memberCount, ruleCount)
  const startedAt = performance.now()
  const team = decodeTeam('team.json', text, keyDefaults)
  const roster = new Roster(team)
  const loadMs = performance.now() - startedAt
  const limits = new LocalLimits(clock)
  limits.configure(new Map([...team.members].map(([name, member]) => [name, member.limits])), team.key)
  const nowMs = Date.now()
  const credentials = tokens.map(token => roster.findByToken(token, nowMs) ?? createCredential({ name: '', role: 'member' }, {} as never))
  const path = (index: number) => `/v3/devices/0161991d6315000000000001001${String(index % 100).padStart(5, '0')}`
  const admit = (index: number, credential = credentials[index % memberCount]): void => {
    if (credential === undefined) return
    const lease = limits.open(limits.usage(credential.member.name), 'request')
    limits.acquire(lease, () => {})
    limits.release(lease, true)
  }
  const token = measure(index => { roster.findByToken(tokens[index % memberCount] as string, nowMs) })
  const policy = measure(index => { credentials[index % memberCount]?.policy.judge('GET', path(index)) })
  const paths = measure(index => { path(index) })
  const limit = measure(index => { admit(index) })
  const cells = [memberCount, ruleCount, loadMs.toFixed(0), token.toFixed(2), (policy - paths).toFixed(2), limit.toFixed(2), (token + policy - paths + limit).toFixed(2)]
  console.log(`| ${cells.join(' | ')} |`)
}
