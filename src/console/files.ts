import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join, relative, sep } from 'node:path'
import { gzipSync } from 'node:zlib'

export interface WebFile {
  type: string
  body: Buffer
  gzipped: Buffer
  /** Weak, as the two encodings share it (RFC 9110 §8.8.1). */
  etag: string
  cacheControl: string
}

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml'
}

/** The built page by its paths below the folder, with `/` between parts. Empty if it isn't built. Files of other types are not served. */
export async function readWebFiles (folder: string): Promise<Map<string, WebFile>> {
  const files = new Map<string, WebFile>()
  for (const path of await listPaths(folder)) {
    const type = types[extname(path)]
    if (type !== undefined) files.set(path, describe(path, type, await readFile(join(folder, path))))
  }
  return files
}

async function listPaths (folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    return entries.filter(entry => entry.isFile()).map(entry => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

function describe (path: string, type: string, body: Buffer): WebFile {
  return {
    type,
    body,
    gzipped: gzipSync(body),
    etag: `W/"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
    // The build names what is in assets/ by its content.
    cacheControl: path.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache'
  }
}
