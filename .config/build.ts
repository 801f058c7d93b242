import { chmodSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'vite'

// npm run build: the program and the console.

const root = join(import.meta.dirname, '..')

rmSync(join(root, 'dist'), { recursive: true, force: true })
await build({ configFile: join(root, '.config/vite.program.config.ts'), logLevel: 'warn' })
await build({ configFile: join(root, '.config/vite.config.ts'), logLevel: 'warn' })
chmodSync(join(root, 'dist/main.js'), 0o755)
