import preact from '@preact/preset-vite'
import { join } from 'node:path'
import { defineConfig } from 'vite'

const root = join(import.meta.dirname, '..')

/** The console. The build of the program (tsc) writes beside it into dist/console, hence the folder of its own. */
export default defineConfig({
  root: join(root, 'src/console/web'),
  base: '/_proxy/console/',
  cacheDir: join(root, 'node_modules/.vite'),
  plugins: [preact({ devToolsEnabled: false, prefreshEnabled: false })],
  build: {
    outDir: join(root, 'dist/console/web'),
    emptyOutDir: true,
    target: 'es2022',
    // The policy allows data: for images only, and nothing inline.
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: false
  }
})
