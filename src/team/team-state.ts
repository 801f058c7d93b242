import type { FastifyBaseLogger } from 'fastify'
import type { HealthReport } from '../decorations.ts'
import type { Credential } from './credential.ts'
import { FileWatch, identify } from './file-watch.ts'
import type { Limits, MemberLimits } from './limits.ts'
import { marksOf } from './revocation-marks.ts'
import { Revocations } from './revocations.ts'
import { Roster } from './roster.ts'
import type { KeyDefaults, Team } from './team-file.ts'
import { loadTeam } from './team-loader.ts'

/** How often the file and the clock are looked at. A revocation takes effect within a second, sockets included. */
const intervalMs = 250

interface Options {
  path: string
  keyDefaults: KeyDefaults
  limits: Limits
  log: FastifyBaseLogger
  /** Was this session of the console logged out of? */
  isEnded: (session: string) => boolean
  /** Called after revocations were told to their watchers. */
  onSweep: () => void
  /** Called when a re-read file differs: what it doesn't hold any more, and what came back after this process had seen it go. */
  onChanged?: (gone: string[], back: string[]) => void
}

/** The team file as it is now: read, re-read, and what follows from a change. */
export class TeamState {
  readonly revocations = new Revocations()
  roster: Roster
  #team: Team
  #problem: string | undefined
  readonly #options: Options
  readonly #watch: FileWatch
  readonly #timer: NodeJS.Timeout
  #sweptMs = Date.now()
  #loading: Promise<void> = Promise.resolve()
  /** Marks of what other instances, or this one, saw revoked. */
  #revoked: ReadonlySet<string> = new Set()
  readonly #goneHere = new Set<string>()

  /** @throws TeamFileError: a proxy doesn't start with a team it can't read */
  static async start (options: Options): Promise<TeamState> {
    const seen = await identify(options.path)
    return new TeamState(options, await loadTeam(options.path, options.keyDefaults), seen)
  }

  private constructor (options: Options, team: Team, seen: string) {
    this.#options = options
    this.#team = team
    this.roster = new Roster(team)
    this.#applyLimits()
    this.#watch = new FileWatch(options.path, seen, intervalMs, () => this.reload())
    this.#timer = setInterval(() => this.#sweepExpired(), intervalMs).unref()
  }

  /** Reads the file anew. A mistake keeps the last good one. */
  reload (): void {
    this.#loading = this.#loading.then(() => this.#load())
  }

  async close (): Promise<void> {
    clearInterval(this.#timer)
    this.#watch.close()
    await this.#loading
  }

  readonly holds = (credential: Credential): boolean => this.roster.holds(credential, Date.now()) && !(credential.session !== '' && this.#options.isEnded(credential.session))

  readonly report = (): HealthReport => {
    const problem = this.#problem ?? this.#describeStale()
    return {
      state: problem === undefined ? 'ok' : 'degraded',
      ready: true,
      details: { file: this.#options.path, members: this.roster.size, ...this.#options.limits.pressure(), ...(problem !== undefined && { problem }) }
    }
  }

  /** Refuses these, whatever the file here says: it may be older than another instance's. */
  revoke (marks: ReadonlySet<string>): void {
    this.#revoked = new Set(marks)
    this.roster = new Roster(this.#team, this.#revoked)
    const problem = this.#describeStale()
    if (problem !== undefined) this.#options.log.warn({ problem }, 'team file is out of date')
    this.sweep()
  }

  #describeStale (): string | undefined {
    if (this.#revoked.size === 0) return undefined
    const stale = [...this.#team.members.values()].flatMap(({ name, tokens }) => tokens.some(({ digest }) => this.#revoked.has(digest)) ? [name] : [])
    if (stale.length === 0) return undefined
    return `tokens of ${stale.slice(0, 5).join(', ')}${stale.length > 5 ? ` and ${stale.length - 5} more` : ''} stand in this file that another instance saw revoked: they are refused; bring this copy up to date`
  }

  /** For whoever ended something by hand, such as a session. */
  sweep (): void {
    this.#sweptMs = Date.now()
    const { log, onSweep } = this.#options
    const closed = this.revocations.sweep(this.holds, err => { log.error({ err }, 'closing after a revocation failed') })
    if (closed > 0) log.info({ closed }, 'connections of revoked credentials closed')
    onSweep()
  }

  async #load (): Promise<void> {
    const { path, keyDefaults, log } = this.#options
    try {
      const team = await loadTeam(path, keyDefaults)
      const before = this.#team
      const changes = compareTeams(before, team)
      this.#team = team
      this.roster = new Roster(team, this.#revoked)
      this.#problem = undefined
      this.#applyLimits()
      this.sweep()
      log.info(changes, 'team file re-read')
      if (Object.values(changes).flat().length > 0 || JSON.stringify(before.key) !== JSON.stringify(team.key)) this.#tellChanges(marksOf(before), marksOf(team))
    } catch (error) {
      this.#problem = (error as Error).message
      log.error({ problem: this.#problem }, 'team file refused; the last good one stays in force')
    }
  }

  #tellChanges (before: Set<string>, after: Set<string>): void {
    const gone = [...before].filter(mark => !after.has(mark))
    // Only what this process saw go can come back: another instance's file may just be on its way to where this one is.
    const back = [...after].filter(mark => this.#goneHere.delete(mark))
    for (const mark of gone) this.#goneHere.add(mark)
    this.#options.onChanged?.(gone, back)
  }

  #applyLimits (): void {
    const members = new Map<string, MemberLimits>()
    for (const { name, limits } of this.#team.members.values()) members.set(name, limits)
    this.#options.limits.configure(members, this.#team.key)
  }

  #sweepExpired (): void {
    if (this.roster.hasExpiryBetween(this.#sweptMs, Date.now())) this.sweep()
  }
}

/** What an edit did, for the log. */
export function compareTeams (before: Team, after: Team): { added: string[], removed: string[], changed: string[] } {
  const added = [...after.members.keys()].filter(name => !before.members.has(name))
  const removed = [...before.members.keys()].filter(name => !after.members.has(name))
  const changed = [...after.members].filter(([name, member]) => before.members.has(name) && JSON.stringify(before.members.get(name)) !== JSON.stringify(member)).map(([name]) => name)
  return { added, removed, changed }
}
