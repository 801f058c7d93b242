import type { Plugin } from 'vite'

const refusal = '() => { throw new Error(\'left out of this build: .config/unused-parts.ts\') }'

/**
 * Parts of our packages that this program never uses: half of what would be read at every start. `name` as it is asked for, `by` whom;
 * `instead` is what the asking module gets, which throws where anything else would do harm.
 */
const parts: Array<{ name: string, by: RegExp, instead?: string }> = [
  // Compilers for the schemas of routes, which have none: bodies are opaque. Fastify asks for a compiler, and uses it if there is a schema.
  { name: '@fastify/ajv-compiler', by: /\/fastify\//, instead: `() => ${refusal}` },
  { name: '@fastify/fast-json-stringify-compiler', by: /\/fastify\//, instead: `() => ${refusal}` },
  // `app.inject`, for tests.
  { name: 'light-my-request', by: /\/fastify\// },
  // Threads that write a log.
  { name: 'thread-stream', by: /\/pino\// },
  // Exemplars, which are off.
  { name: '@opentelemetry/api', by: /\/prom-client\// },
  // Metrics of several processes, and pushing them.
  { name: './lib/cluster', by: /\/prom-client\// },
  { name: './lib/pushgateway', by: /\/prom-client\// },
  // http-proxy's own way to the API, which isn't taken.
  { name: '@fastify/reply-from', by: /\/@fastify\/http-proxy\//, instead: 'async () => {}' },
  // HTTP/2 and SOCKS, which are not spoken to the API.
  { name: './client-h2.js', by: /\/undici\// },
  { name: './socks5-proxy-agent', by: /\/undici\// },
  // A second parser, off by default.
  { name: './parser-h1.js', by: /\/undici\//, instead: '{ getMiloEnabled: () => false }' },
  // Bodies of forms: bodies here are bytes.
  { name: '../web/fetch/body.js', by: /\/undici\/lib\/dispatcher\// },
  { name: '../web/fetch/formdata', by: /\/undici\/lib\/core\//, instead: '{}' },
  { name: '../web/webidl', by: /\/undici\/lib\/core\//, instead: '{ webidl: { is: { FormData: () => false } } }' }
]

const prefix = '\0unused:'

export const leaveOutUnused: Plugin = {
  name: 'leave-out-unused',
  enforce: 'pre',
  resolveId: (name, importer = '') => parts.some(part => part.name === name && part.by.test(importer)) ? `${prefix}${name}.cjs` : null,
  load: id => id.startsWith(prefix) ? { code: `module.exports = ${parts.find(({ name }) => id === `${prefix}${name}.cjs`)?.instead ?? refusal}`, moduleType: 'js' } : null
}
