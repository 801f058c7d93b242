import { createProxyMiddleware } from 'http-proxy-middleware'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { Agent } from 'node:https'
import { join } from 'node:path'
import { pino } from 'pino'

const [, , port, apiPort, folder = ''] = process.argv
const key = readFileSync(join(folder, 'key'), 'utf8')
const log = pino()
const proxy = createProxyMiddleware({
  target: `https://localhost:${apiPort}`,
  changeOrigin: true,
  secure: true,
  agent: new Agent({ keepAlive: true, maxSockets: 256, ca: readFileSync(join(folder, 'ca.pem'), 'utf8') }),
  headers: { authorization: `Bearer ${key}` },
  on: { proxyRes: (answer, request) => { log.info({ method: request.method, url: request.url, status: answer.statusCode, upstream_id: answer.headers['x-request-id'] }, 'request') } }
})
createServer((request, response) => { proxy(request, response).catch(() => response.destroy()) }).listen(Number(port), '127.0.0.1')
