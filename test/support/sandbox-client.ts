import { request } from 'node:https'
import type { IncomingHttpHeaders } from 'node:http'
import type { Test } from 'tap'
import { startSandbox } from '../../src/sandbox/index.ts'
import type { Sandbox, SandboxOptions } from '../../src/sandbox/index.ts'

export interface Answered {
  status: number
  headers: IncomingHttpHeaders
  rawHeaders: string[]
  text: string
  // Tests look into bodies of many shapes.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  json: any
}

export interface Asked {
  method?: string
  /** `null` sends no Authorization. */
  key?: string | null
  headers?: Record<string, string | string[]>
  body?: string | Buffer
  signal?: AbortSignal
}

/** A quiet sandbox that ends with the test, and a way to ask it directly. */
export async function setUpSandbox (t: Test, options: SandboxOptions = {}): Promise<{ sandbox: Sandbox, ask: (path: string, asked?: Asked) => Promise<Answered> }> {
  const sandbox = await startSandbox({ quiet: true, devices: 100, ...options })
  t.teardown(async () => { await sandbox.close() })
  return { sandbox, ask: async (path, asked) => await askSandbox(sandbox, path, asked) }
}

export async function askSandbox (sandbox: Sandbox, path: string, { method = 'GET', key = sandbox.accessKey, headers = {}, body, signal }: Asked = {}): Promise<Answered> {
  const authorization = key === null ? {} : { Authorization: `Bearer ${key}` }
  const json = body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(body)) }
  const options = { method, path, port: sandbox.port, host: '127.0.0.1', ca: sandbox.caPem, agent: false as const, headers: { ...authorization, ...json, ...headers }, ...signal === undefined ? {} : { signal } }
  return await new Promise((resolve, reject) => {
    const sent = request(options, answer => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject).on('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, rawHeaders: answer.rawHeaders, text, json: parse(text) })
      })
    })
    sent.on('error', reject).end(body)
  })
}

function parse (text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
