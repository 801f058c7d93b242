import { duration } from '../config/kinds.ts'
import type { Settings } from '../config/table.ts'
import { judgeTarget } from '../guard/target.ts'
import { createLocal } from '../team/local-member.ts'
import { addMember, expiryOf, findMember, formatTime, revokeMember, rotateToken, TeamEditError } from '../team/team-edit.ts'
import { decodeTeam, parseTeam } from '../team/team-file.ts'
import { readTeamFile } from '../team/team-loader.ts'
import type { MemberJson, TeamJson, TokenJson } from '../team/team-schema.ts'
import { editTeamFile } from '../team/team-writer.ts'
import { compilePolicy } from '../team/policy.ts'
import { createToken, digestToken } from '../team/token.ts'
import { renderTable, summarize } from './team-table.ts'
import { UsageError, type Command, type Invocation, type OptionValue } from './command.ts'

const text = { type: 'string' } as const
const texts = { type: 'string', multiple: true } as const

export const command: Command = {
  name: 'team',
  summary: 'add, list, rotate, revoke members of the team, test what one may do',
  help: `
The team file (PROXY_TEAM_FILE, --team-file) is changed in place; a running proxy takes it up within a second.

  izuma-proxy team add alice --team-file team.json --role admin
  izuma-proxy team add dashboard --preset read-only --allow 'GET /v3/devices/**' --expires 30d
  izuma-proxy team add plant --rate 20/s --burst 200 --concurrency 64 --daily 100000 --device '0175a3*'
  izuma-proxy team add edge-7 --certificate        no token: mutual TLS, the certificate's CN is the name
  izuma-proxy team list
  izuma-proxy team rotate alice --grace 24h         the old token works for 24 hours more; --grace 0s: not at all
  izuma-proxy team revoke dashboard                 also closes what the member has open
  izuma-proxy team test dashboard GET /v3/devices/x what would happen, and by which rule; exits 1 if it is denied

add and rotate print the token, alone on standard output, this once: it is stored nowhere. Members send it in place of the access key.
Rules: METHODS PATH, * is one segment, ** any number; deny before allow. Presets: read-only, no-delete; no-remote-shell and
no-key-management hold for everybody unless a rule of --allow names such an endpoint. --allow, --deny, --preset and --device may be
given several times. --expires takes 30d, 12h, a time such as 2027-01-31T12:00:00Z, or never.`,
  options: {
    role: text,
    preset: texts,
    allow: texts,
    deny: texts,
    device: texts,
    mode: text,
    expires: text,
    note: text,
    rate: text,
    burst: text,
    concurrency: text,
    daily: text,
    'long-polls': text,
    'web-sockets': text,
    certificate: { type: 'boolean' },
    grace: text,
    json: { type: 'boolean' }
  },
  takesSettings: true,
  takesArguments: true,
  async run (invocation) {
    const [action = '', ...args] = invocation.args
    const run = Object.hasOwn(actions, action) ? actions[action] : undefined
    if (run === undefined) throw new UsageError(`team ${action || '…'}: say add, list, rotate, revoke or test (izuma-proxy help team)`)
    return await run(invocation, args)
  }
}

type Action = (invocation: Invocation, args: string[]) => Promise<number>

const actions: Record<string, Action> = { add, list, rotate, revoke, test }

const policyOptions = ['role', 'preset', 'allow', 'deny', 'device', 'mode', 'note', 'rate', 'burst', 'concurrency', 'daily', 'long-polls', 'web-sockets', 'certificate']

async function add (invocation: Invocation, args: string[]): Promise<number> {
  const name = readArguments(invocation, args, ['NAME'], [...policyOptions, 'expires'])[0] as string
  const { options } = invocation
  const path = findTeamFile(invocation)
  const nowMs = Date.now()
  const member = readMember(options)
  const token = options['certificate'] === true ? undefined : createToken()
  const expiresMs = nowMs + (readLifetimeMs(options['expires'], nowMs) ?? Infinity)
  await change(path, team => addMember(team, name, member, token === undefined ? undefined : { digest: digestToken(token), expiresMs, note: options['note'] as string | undefined }, nowMs))
  return showToken(invocation, path, name, token, expiresMs)
}

async function rotate (invocation: Invocation, args: string[]): Promise<number> {
  const name = readArguments(invocation, args, ['NAME'], ['grace', 'expires'])[0] as string
  const path = findTeamFile(invocation)
  const nowMs = Date.now()
  const token = createToken()
  const graceMs = readDuration('--grace', invocation.options['grace'] ?? '24h')
  const lifetimeMs = readLifetimeMs(invocation.options['expires'], nowMs)
  let expiresMs = Infinity
  await change(path, team => {
    const changed = rotateToken(team, name, digestToken(token), { graceMs, lifetimeMs, nowMs })
    expiresMs = expiryOf(changed.members[name]?.tokens?.at(-1) as TokenJson)
    return changed
  })
  const old = graceMs === 0 ? 'The old token no longer works.' : `The old token works until ${formatTime(nowMs + graceMs)} at the latest.`
  if (invocation.options['json'] !== true) invocation.terminal.stderr.write(old + '\n')
  return showToken(invocation, path, name, token, expiresMs)
}

async function revoke (invocation: Invocation, args: string[]): Promise<number> {
  const name = readArguments(invocation, args, ['NAME'], [])[0] as string
  const path = findTeamFile(invocation)
  await change(path, team => revokeMember(team, name))
  const message = `${name} is no longer a member. A running proxy takes that up within a second and closes what the member has open.`
  return print(invocation, { object: 'member', name, revoked: true, team_file: path }, message)
}

async function list (invocation: Invocation, args: string[]): Promise<number> {
  readArguments(invocation, args, [], [])
  const path = findTeamFile(invocation)
  const { members, defaults = {} } = parseTeam(path, await readTeamFile(path))
  const rows = Object.entries(members).map(([name, member]) => summarize(name, Date.now(), { ...defaults, ...member }))
  return print(invocation, { object: 'list', data: rows }, renderTable(rows))
}

async function test (invocation: Invocation, args: string[]): Promise<number> {
  const [name = '', method = '', path = ''] = readArguments(invocation, args, ['NAME', 'METHOD', 'PATH'], [])
  const target = judgeTarget(path)
  if (typeof target === 'string') throw new UsageError(`${path} never reaches the policy: the proxy refuses it (${target})`)
  const policy = await findPolicy(invocation, name)
  const { allowed, decision, rule } = policy.judge(method.toUpperCase(), target.canonicalPath)
  const verdict = allowed ? (rule === '' ? 'allowed' : `allowed, being in report mode; enforced, it would be denied by: ${rule}`) : `denied by: ${rule}`
  print(invocation, { object: 'decision', member: name, method: method.toUpperCase(), path: target.canonicalPath, allowed, decision, rule }, `${name} ${method.toUpperCase()} ${target.canonicalPath}: ${verdict}`)
  return allowed ? 0 : 1
}

async function findPolicy (invocation: Invocation, name: string) {
  const settings = invocation.settings()
  if (settings.teamFile === undefined && name === 'local') return createLocal(settings.localDeny).policy
  const path = findTeamFile(invocation, settings)
  const text = await readTeamFile(path)
  findMember(parseTeam(path, text), name)
  const member = decodeTeam(path, text, { concurrency: settings.upstreamConnections, longPolls: null }).members.get(name)
  return compilePolicy((member as NonNullable<typeof member>).policy)
}

function findTeamFile ({ settings }: Invocation, { teamFile }: Settings = settings()): string {
  if (teamFile === undefined) throw new UsageError('which team file? Set PROXY_TEAM_FILE, or give --team-file team.json')
  return teamFile
}

/** A name that isn't there, a file somebody else is writing: for whoever typed the command, not for a bug report. */
async function change (path: string, edit: (team: TeamJson) => TeamJson): Promise<void> {
  try {
    await editTeamFile(path, edit)
  } catch (error) {
    throw error instanceof TeamEditError ? new Error(`team: ${error.message}`) : error
  }
}

function readArguments ({ options }: Invocation, args: string[], names: string[], known: string[]): string[] {
  const unused = Object.keys(options).find(name => name !== 'json' && options[name] !== undefined && !known.includes(name))
  if (unused !== undefined) throw new UsageError(`--${unused} has no meaning here (izuma-proxy help team)`)
  if (args.length !== names.length) throw new UsageError(names.length === 0 ? 'this takes no arguments' : `this takes ${names.join(' ')}`)
  return args
}

function readMember (options: Record<string, OptionValue>): MemberJson {
  const given: Record<string, unknown> = {
    role: options['role'],
    mode: options['mode'],
    presets: options['preset'],
    allow: options['allow'],
    deny: options['deny'],
    devices: options['device'],
    rate: options['rate'] === 'none' ? null : options['rate'],
    burst: readCount('--burst', options['burst']),
    concurrency: readCount('--concurrency', options['concurrency']),
    daily: readCount('--daily', options['daily']),
    longPolls: readCount('--long-polls', options['long-polls']),
    webSockets: readCount('--web-sockets', options['web-sockets'])
  }
  // Whatever is wrong with the values is said when the changed file is checked, with everything else.
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as MemberJson
}

function readCount (flag: string, value: OptionValue): number | null | undefined {
  if (value === undefined) return undefined
  if (value === 'none') return null
  if (!/^[0-9]+$/.test(String(value))) throw new UsageError(`${flag} ${String(value)}: expected a whole number, or none`)
  return Number(value)
}

function readDuration (flag: string, value: OptionValue): number {
  if (!/^[0-9]+(ms|s|m|h|d)$/.test(String(value))) throw new UsageError(`${flag} ${String(value)}: expected ${duration.expected}`)
  return duration.decode(String(value))
}

/** Milliseconds from now, `Infinity` for never, `undefined` if nothing was said. */
function readLifetimeMs (value: OptionValue, nowMs: number): number | undefined {
  if (value === undefined) return undefined
  if (value === 'never') return Infinity
  if (/^[0-9]{4}-/.test(String(value))) {
    const lifetimeMs = Date.parse(String(value)) - nowMs
    if (!(lifetimeMs > 0)) throw new UsageError(`--expires ${String(value)}: expected a time to come`)
    return lifetimeMs
  }
  return readDuration('--expires', value)
}

/** The token goes to standard output alone, so that TOKEN=$(izuma-proxy team add ci) is all it takes. */
function showToken (invocation: Invocation, path: string, name: string, token: string | undefined, expiresMs: number): number {
  const expires = expiresMs === Infinity ? null : formatTime(expiresMs)
  if (invocation.options['json'] === true) return print(invocation, { object: 'member', name, token: token ?? null, expires: token === undefined ? null : expires, team_file: path }, '')
  const { stdout, stderr } = invocation.terminal
  if (token === undefined) {
    stderr.write(`${name} is known by client certificates with the CN ${name} (PROXY_TLS_CLIENT_CA_FILE). Team file: ${path}\n`)
    return 0
  }
  stderr.write(`The token of ${name}, shown this once${expires === null ? '' : `, valid until ${expires}`}. It goes where the access key would: Authorization: Bearer … Team file: ${path}\n`)
  stdout.write(token + '\n')
  return 0
}

function print ({ options, terminal }: Invocation, data: object, message: string): number {
  terminal.stdout.write((options['json'] === true ? JSON.stringify(data) : message) + '\n')
  return 0
}
