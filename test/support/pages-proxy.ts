import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { makeAccessKey, startProxy, type StartedProxy } from './proxy.ts'

export interface PagesProxyOptions {
  /** What stands for the API. */
  api: { origin: string, ca: string }
  accessKey?: string
  /** Content of the team file; without it there is no team. */
  team?: unknown
  flags?: Record<string, string>
}

export interface PagesProxy extends StartedProxy {
  teamFile: string
}

/** The whole proxy; rows of its trail come in the order in which their requests began. */
export async function startPagesProxy (t: Test, { api, accessKey = makeAccessKey(), team, flags = {} }: PagesProxyOptions): Promise<PagesProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'izuma-pages-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const teamFile = join(folder, 'team.json')
  if (team !== undefined) writeFileSync(teamFile, JSON.stringify(team))
  const proxy = await startProxy(t, { api, accessKey, flags: { ...flags, ...(team !== undefined && { '--team-file': teamFile }) } })
  return { ...proxy, teamFile, trail: async enough => (await proxy.trail(enough)).sort((a, b) => a.id < b.id ? -1 : 1) }
}
