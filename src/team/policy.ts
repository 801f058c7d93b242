import type { Decision } from '../decorations.ts'
import { isWithin, parseRule, RuleSet, type Rule } from './pattern.ts'
import { isOwnPath } from './own-paths.ts'
import { defaultPresets, presetRules, restricted, type PresetName } from './presets.ts'

export interface PolicySource {
  role: 'admin' | 'member'
  /** In `report` mode what would be denied is allowed and noted, the default presets excepted. */
  mode: 'enforce' | 'report'
  presets: readonly PresetName[]
  /** Rules as text. With any, what no rule allows is denied. */
  allow: readonly string[]
  deny: readonly string[]
  /** Device ids, `*` at the beginning or the end standing for anything. With any, other devices can't be named in a path. */
  devices: readonly string[]
}

export interface Policy {
  judge (method: string, canonicalPath: string): Decision
  maySeeDevice (deviceId: string): boolean
  /** No list of devices narrows it. */
  seesAllDevices: boolean
}

const allow: Decision = { allowed: true, decision: 'allow', rule: '' }

/** What every member may use of the proxy itself, rules that deny aside. The rest is for admins, or named by a rule of `allow`. */
const memberPaths = new RuleSet([
  'GET /_proxy',
  'GET /_proxy/status',
  'GET /_proxy/members',
  'GET /_proxy/console/**',
  'GET /_proxy/trail/**',
  'GET /_proxy/notifications/**',
  '/_proxy/session'
].map(parseRule), { foldCase: false })

/** Compiles when it is first asked: of a team of thousands a few are there at a time. */
export function deferPolicy (source: PolicySource): Policy {
  let compiled: Policy | undefined
  return {
    judge: (method, path) => (compiled ??= compilePolicy(source)).judge(method, path),
    maySeeDevice: deviceId => (compiled ??= compilePolicy(source)).maySeeDevice(deviceId),
    seesAllDevices: source.devices.length === 0
  }
}

/**
 * Order: rules of `deny`, presets, devices, the default presets unless a rule of `allow` names what they deny, rules of `allow`, allow.
 * Nothing is computed twice for a request: rules are compiled here, decisions are made here, `judge` looks up.
 */
export function compilePolicy (source: PolicySource): Policy {
  const denials = compileDenials(source)
  const allowed = new RuleSet(source.allow.map(parseRule), { foldCase: false })
  const named = new RuleSet(allowed.rules.filter(rule => isWithin(rule, restricted)), { foldCase: false })
  const devices = compileDevices(source.devices)
  const decide = createDecisions(source.mode)
  const notAllowed = decide('no rule of "allow"')
  const otherDevice = decide('devices')

  function judgeApi (method: string, path: string): Decision {
    const denial = denials.find(method, path)
    if (denial !== undefined) return decide(denial.name)
    if (devices !== undefined && namesOther(path, devices)) return otherDevice
    const restriction = restricted.find(method, path)
    if (restriction !== undefined) return named.find(method, path) === undefined ? denyByDefault(restriction) : allow
    return allowed.rules.length === 0 || allowed.find(method, path) !== undefined ? allow : notAllowed
  }

  function judgeOwn (method: string, path: string): Decision {
    if (path.startsWith('/_proxy/pages/')) return judgeApi(method, path.slice('/_proxy/pages'.length))
    const denial = denials.find(method, path)
    if (denial !== undefined && denial.preset === undefined) return decide(denial.name)
    if (source.role === 'admin' || memberPaths.find(method, path) !== undefined) return allow
    return allowed.find(method, path) === undefined ? forAdmins : allow
  }

  return {
    judge: (method, path) => isOwnPath(path) ? judgeOwn(method, path) : judgeApi(method, path),
    maySeeDevice: deviceId => devices === undefined || devices.find('GET', '/' + deviceId) !== undefined,
    seesAllDevices: devices === undefined
  }
}

const forAdmins: Decision = { allowed: false, decision: 'deny admins only', rule: 'admins only' }

interface Denial extends Rule { name: string, preset: PresetName | undefined }

function compileDenials ({ deny, presets }: PolicySource): RuleSet<Denial> {
  const own = deny.map(parseRule).map(rule => ({ ...rule, name: rule.text, preset: undefined }))
  const extra = presetRules(presets.filter(name => !defaultPresets.includes(name))).map(rule => ({ ...rule, name: rule.preset }))
  return new RuleSet<Denial>([...own, ...extra], { foldCase: true })
}

/** Decisions by rule, each made once. */
function createDecisions (mode: PolicySource['mode']): (rule: string) => Decision {
  const made = new Map<string, Decision>()
  return rule => {
    let decision = made.get(rule)
    if (decision === undefined) made.set(rule, decision = mode === 'report' ? report(rule) : deny(rule))
    return decision
  }
}

function deny (rule: string): Decision {
  return { allowed: false, decision: `deny ${rule}`, rule }
}

function report (rule: string): Decision {
  return { allowed: true, decision: `would-deny ${rule}`, rule }
}

const defaultDenials = new Map(defaultPresets.map(preset => [preset, deny(preset)]))

function denyByDefault ({ preset }: { preset: PresetName }): Decision {
  return defaultDenials.get(preset) ?? deny(preset)
}

/** Devices are rules too: `/id` for each. */
function compileDevices (devices: readonly string[]): RuleSet | undefined {
  return devices.length === 0 ? undefined : new RuleSet(devices.map(parseDevice), { foldCase: false })
}

/** @throws Error whose message completes "DEVICE …" */
export function parseDevice (text: string): Rule {
  if (!/^[^/\s*]*\*?[^/\s*]*$/.test(text) || text === '' || text === '..' || text === '.') throw new Error('is not a device id (one * at its beginning or end may stand for anything)')
  return parseRule('/' + text)
}

/** Where the API's paths hold a device id, in whatever version: behind these names, in any case. */
const namingDevice = /^\/v[0-9][^/]*\/(?:devices|device-requests|endpoints|subscriptions)(\/[^/]+)/i

function namesOther (path: string, devices: RuleSet): boolean {
  const device = namingDevice.exec(path)?.[1]
  return device !== undefined && devices.find('GET', device) === undefined
}
