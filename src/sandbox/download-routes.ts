import { ok } from './answer.ts'
import type { Answer } from './answer.ts'
import { generate } from './respond.ts'
import type { Route } from './router.ts'
import type { World } from './world.ts'

const archiveBytes = 8_388_608
const archivePath = '/downloads/fcu/factory_configurator_utility.zip'
const notesPath = '/downloads/fcu/release_notes'
const notes = '# Factory Configurator Utility\n\nA stand-in: the archive holds a pattern and no program.\n'

/** The one large download of the API, and where to find it: an absolute URL. */
export function downloadRoutes (world: World): Route[] {
  function describeArchive (): Answer {
    return ok({
      download_size_bytes: archiveBytes,
      version: '1.2.9.500',
      license_type: 'fcu',
      license_version: '1.0',
      download_url: world.origin + archivePath,
      release_notes_url: world.origin + notesPath
    })
  }

  function download (): Answer {
    return { status: 200, stream: generate(archiveBytes), headers: { 'Content-Type': 'application/zip', 'Content-Length': String(archiveBytes) } }
  }

  return [
    { method: 'GET', path: '/downloads/fcu/info', handle: describeArchive },
    { method: 'GET', path: notesPath, handle: () => ({ status: 200, text: notes, headers: { 'Content-Type': 'text/markdown;charset=UTF-8' } }) },
    { method: 'GET', path: archivePath, handle: download }
  ]
}
