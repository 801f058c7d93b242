import { readFile, stat } from 'node:fs/promises'
import { platform } from 'node:os'
import { decodeTeam, TeamFileError, type KeyDefaults, type Team } from './team-file.ts'

/** Larger files are a mistake, or somebody's attempt to fill the memory: 10,000 members with all their rules take a tenth. */
const maxBytes = 64 * 1024 * 1024

/** On Windows every file looks writable to everybody. */
const hasModes = platform() !== 'win32'

/** @throws TeamFileError that says what to do about it */
export async function loadTeam (path: string, keyDefaults: KeyDefaults): Promise<Team> {
  return decodeTeam(path, await readTeamFile(path), keyDefaults)
}

/** @throws TeamFileError */
export async function readTeamFile (path: string): Promise<string> {
  try {
    const { size, mode } = await stat(path)
    if (size > maxBytes) throw new TeamFileError(path, ['is larger than 64 MiB'])
    // Whoever may write it may let themselves in. It holds no secret, so reading is no harm.
    if (hasModes && (mode & 0o002) !== 0) throw new TeamFileError(path, [`may be written by everybody on this machine: chmod o-w ${path}`])
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof TeamFileError) throw error
    const { code } = error as NodeJS.ErrnoException
    throw new TeamFileError(path, [code === 'ENOENT' ? 'does not exist: izuma-proxy team add NAME makes it' : `can't be read (${code})`])
  }
}
