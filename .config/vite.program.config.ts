import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import { defineConfig, type Plugin } from 'vite'
import { leaveOutUnused } from './unused-parts.ts'

const root = join(import.meta.dirname, '..')

/** Built-in modules that hardly a run needs, and never at its start. */
const rarelyUsed = ['child_process', 'http2', 'zlib']

/**
 * `import … from 'node:http'` reads all of its exports at once, and some of them load a second undici: 50 ms of a start. So
 * built-in modules are asked for as CommonJS would, export by export.
 */
const lazyBuiltins: Plugin = {
  name: 'lazy-builtins',
  enforce: 'pre',
  // The bundle's own runtime needs `module` before anything else.
  resolveId: name => isBuiltin(name) && !/^(node:)?module$/.test(name) ? `\0${name}.cjs` : null,
  load: id => id.startsWith('\0') && isBuiltin(id.slice(1, -4)) ? { code: passOn(id.slice(1, -4)), moduleType: 'js' } : null
}

function passOn (name: string): string {
  const load = `process.getBuiltinModule(${JSON.stringify(name)})`
  const short = name.replace(/^node:/, '')
  if (!rarelyUsed.includes(short)) return `module.exports = ${load}`
  const getters = Object.keys(process.getBuiltinModule(short) as object).map(key => `get ${key} () { return ${load}.${key} }`)
  return `module.exports = { ${getters.join(', ')} }`
}

/** Text beyond ASCII makes V8 keep a file in two bytes a character, after decoding it the slow way. Escapes mean the same in strings, patterns and names. */
const asciiOnly: Plugin = {
  name: 'ascii-only',
  generateBundle (_options, bundle) {
    for (const file of Object.values(bundle)) {
      if (file.type === 'chunk') file.code = file.code.replace(/[^\0-\x7f]/g, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
    }
  }
}

const groups = [
  { name: 'builtins', test: /^\0(?:node:)?[a-z_/]+\.cjs$/ },
  // What most commands need: a dozen small files take 20 ms of a start to find and read.
  { name: 'common', test: /\/src\//, minShareCount: 5 }
]

/** The program in a few files instead of some 900: it starts in less than half the time, and in two thirds of the memory. */
export default defineConfig({
  root,
  publicDir: false,
  cacheDir: join(root, 'node_modules/.vite'),
  plugins: [lazyBuiltins, leaveOutUnused, asciiOnly],
  resolve: { alias: ['undici', 'semver'].map(name => ({ find: new RegExp(`^${name}$`), replacement: join(root, `.config/${name}-core.cjs`) })) },
  ssr: { target: 'node', noExternal: true },
  build: {
    ssr: true,
    target: 'node24',
    outDir: join(root, 'dist'),
    emptyOutDir: true,
    minify: false,
    reportCompressedSize: false,
    rolldownOptions: {
      input: {
        main: join(root, 'src/main.ts'),
        'store-worker': join(root, 'src/trail/store-worker.ts'),
        'reader-worker': join(root, 'src/trail/reader-worker.ts')
      },
      // It says of itself nothing, and its modules define things only.
      treeshake: { moduleSideEffects: id => !id.includes('/typebox/') },
      external: ['pg-native', 'bufferutil', 'utf-8-validate'],
      // Two folders deep as the sources are, for whatever is found beside them.
      output: { format: 'es', entryFileNames: ({ name }) => name === 'main' ? 'main.js' : 'chunks/[name].js', chunkFileNames: 'chunks/[name]-[hash].js', codeSplitting: { groups }, minify: { compress: false, mangle: false, codegen: true } }
    }
  }
})
