import { readFileSync } from 'node:fs'

/** As package.json has it; both src/ and dist/ stand beside that file. */
export function version (): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
  return manifest.version
}
