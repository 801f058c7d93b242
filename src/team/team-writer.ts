import { chmod, chown, mkdir, open, realpath, rename, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { parseTeam } from './team-file.ts'
import { TeamEditError } from './team-edit.ts'
import { findLayout, formatTeam } from './team-format.ts'
import { readTeamFile } from './team-loader.ts'
import type { TeamJson } from './team-schema.ts'

const emptyTeam = '{\n  "members": {}\n}\n'

/** A draft older than this was left behind by a crash. */
const staleMs = 10_000

/**
 * Changes a team file: reads and checks it (or begins one), lets `edit` make another, checks that too, and puts it in place by rename, so
 * that whoever reads sees the old one or the new one. The draft is the lock: of two at once the second is told to try again.
 *
 * A new file is for its owner alone; one that exists keeps its mode and owner, and a link stays a link.
 * @throws TeamFileError, TeamEditError
 */
export async function editTeamFile (path: string, edit: (team: TeamJson) => TeamJson): Promise<void> {
  const target = await realpath(path).catch(() => path)
  const draft = target + '.draft'
  const file = await openDraft(draft, target)
  try {
    const { text, mode, uid, gid } = await readOrBegin(target)
    const changed = formatTeam(edit(parseTeam(path, text)), findLayout(text))
    parseTeam(path, changed)
    await file.writeFile(changed)
    await file.sync()
    await file.close()
    await chmod(draft, mode)
    if (uid !== undefined) await chown(draft, uid, gid).catch(() => {})
    await rename(draft, target)
  } catch (error) {
    await file.close().catch(() => {})
    await unlink(draft).catch(() => {})
    throw error
  }
}

async function openDraft (draft: string, target: string) {
  try {
    await mkdir(dirname(target), { recursive: true })
    await removeStale(draft)
    return await open(draft, 'wx', 0o600)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') throw new TeamEditError(`somebody else is changing ${target} right now (or left ${draft} behind): try again in ${staleMs / 1000} seconds`)
    throw new TeamEditError(`${target} can't be written here (${code}): change it where it comes from, the proxy takes it up by itself`)
  }
}

async function removeStale (draft: string): Promise<void> {
  const { mtimeMs } = await stat(draft).catch(() => ({ mtimeMs: Infinity }))
  if (Date.now() - mtimeMs > staleMs) await unlink(draft)
}

async function readOrBegin (target: string): Promise<{ text: string, mode: number, uid?: number, gid: number }> {
  const known = await stat(target).catch(() => undefined)
  if (known === undefined) return { text: emptyTeam, mode: 0o600, gid: 0 }
  return { text: await readTeamFile(target), mode: known.mode & 0o777, uid: known.uid, gid: known.gid }
}
