import Fastify from 'fastify'
import fs from 'node:fs'
import { loadSettings } from '../../src/config/load.ts'
import trail from '../../src/trail/plugin.ts'

/**
 * A process with the real plugin, to be killed: `node trail-child.ts DB [flag value …]`. Writes `listening URL` when it
 * is, and `forwarded ID` the moment a request would go to the API; answers a little later.
 */
const [path = '', ...words] = process.argv.slice(2)
const flags: Record<string, string> = { '--trail': `sqlite:${path}` }
for (let index = 0; index < words.length; index += 2) flags[words[index] as string] = words[index + 1] as string
const settings = loadSettings({ flags, environment: {}, dotenv: {} })
const app = Fastify({ logger: false })
await app.register(trail, { settings, redact: text => text })
app.get('/health', async () => app.trail)
app.get<{ Params: { '*': string } }>('/v3/*', { logLevel: 'silent' }, (request, reply) => {
  reply.hijack()
  app.trail.record(request.entry, error => {
    if (error !== undefined) {
      Object.assign(request.entry, { outcome: 'refused', error_type: 'trail_unavailable' })
      return void reply.raw.writeHead(503).end()
    }
    // Synchronously: a kill that comes after this line has been seen by "the API".
    fs.writeSync(1, `forwarded ${request.entry.id}\n`)
    Object.assign(request.entry, { attempts: 1 })
    setTimeout(() => {
      Object.assign(request.entry, { outcome: 'answered', status: 200 })
      reply.raw.writeHead(200).end('ok')
    }, Math.random() * 30)
  })
})
await app.listen({ port: 0, host: '127.0.0.1' })
fs.writeSync(1, `listening ${app.listeningOrigin}\n`)
process.on('SIGTERM', () => { app.close().then(() => process.exit(0), () => process.exit(1)) })
