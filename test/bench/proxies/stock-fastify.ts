import proxy from '@fastify/http-proxy'
import Fastify from 'fastify'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Agent } from 'undici'

// What one writes after reading its README, plus verification, which it lacks.

const [, , port, apiPort, folder = ''] = process.argv
const key = readFileSync(join(folder, 'key'), 'utf8')
const app = Fastify({ logger: true })
await app.register(proxy, {
  upstream: `https://localhost:${apiPort}`,
  undici: new Agent({ connect: { ca: readFileSync(join(folder, 'ca.pem'), 'utf8') }, connections: 256 }) as never,
  replyOptions: { rewriteRequestHeaders: (_request, headers) => ({ ...headers, authorization: `Bearer ${key}` }) }
})
await app.listen({ host: '127.0.0.1', port: Number(port) })
