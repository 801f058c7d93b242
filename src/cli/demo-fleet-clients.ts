import { get, type IncomingMessage } from 'node:http'

export interface Instance {
  name: string
  url: string
  kill (): void
  stop (): Promise<void>
}

const pollMs = 100

/** The instance that holds the channel, once one does and its socket is open. */
export async function findHolder (instances: readonly Instance[], interrupted: AbortSignal): Promise<Instance> {
  for (;;) {
    for (const instance of instances) if (await holds(instance)) return instance
    interrupted.throwIfAborted()
    await new Promise(resolve => setTimeout(resolve, pollMs))
  }
}

async function holds ({ url }: Instance): Promise<boolean> {
  const text = await read(`${url}/_proxy/status`)
  const { state, fleet } = (JSON.parse(text) as { parts: { channel: { details: { state: string, fleet: { lease: string } } } } }).parts.channel.details
  return fleet.lease === 'here' && state === 'open'
}

function read (url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, answer => {
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => { text += chunk }).on('end', () => resolve(text)).on('error', reject)
    }).on('error', reject)
  })
}

/** Listens at the first of the instances, and goes on at the next, behind what it had, when that one is gone. */
export class DemoListener {
  readonly heard: number[] = []
  /** Why something may be missing, as it was told. */
  readonly gaps: string[] = []
  connects = 0
  /** Resolves with the first connection. */
  readonly connected: Promise<void>
  readonly #instances: readonly Instance[]
  #tell: () => void = () => {}
  #lastId = ''
  #rest = ''
  #response: IncomingMessage | undefined
  #stopped = false

  constructor (instances: readonly Instance[]) {
    this.#instances = instances
    this.connected = new Promise(resolve => { this.#tell = resolve })
    this.#connect(0)
  }

  missed (sent: number): number { return sent - new Set(this.heard).size }

  get doubled (): number { return this.heard.length - new Set(this.heard).size }

  async stop (): Promise<void> {
    this.#stopped = true
    this.#response?.destroy()
  }

  #connect (turn: number): void {
    if (this.#stopped) return
    const again = () => { setTimeout(() => this.#connect(turn + 1), pollMs) }
    const { url } = this.#instances[turn % this.#instances.length] as Instance
    get(`${url}/_proxy/notifications`, { agent: false, headers: this.#lastId === '' ? {} : { 'Last-Event-ID': this.#lastId } }, response => {
      this.connects++
      this.#tell()
      this.#response = response
      this.#rest = ''
      response.setEncoding('utf8').on('data', (chunk: string) => this.#read(chunk)).on('error', () => {}).once('close', again)
    }).once('error', again)
  }

  #read (chunk: string): void {
    const parts = (this.#rest + chunk).split('\n\n')
    this.#rest = parts.pop() ?? ''
    for (const part of parts) {
      const { id, event, data } = Object.fromEntries(part.split('\n').map(line => line.split(/: ?(.*)/s, 2))) as Record<string, string | undefined>
      if (id !== undefined) this.#lastId = id
      if (id === undefined || data === undefined) continue
      if (event === 'gap') this.gaps.push((JSON.parse(data) as { reason: string }).reason)
      if (event !== undefined) continue
      for (const { payload } of (JSON.parse(data) as { notifications?: Array<{ payload: string }> }).notifications ?? []) this.heard.push(Number(Buffer.from(payload, 'base64').toString()))
    }
  }
}

/** Requests to one instance after the other, one at a time; one that is gone is left out. */
export class DemoLoad {
  answered = 0
  failed = 0
  #instances: Instance[]
  #stopped = false
  readonly #running: Promise<void>

  constructor (instances: readonly Instance[]) {
    this.#instances = [...instances]
    this.#running = this.#run()
  }

  async stop (): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async #run (): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      const instance = this.#instances[turn % this.#instances.length] as Instance
      try {
        await read(`${instance.url}/v3/devices?limit=2`)
        this.answered++
      } catch {
        this.failed++
        this.#instances = this.#instances.filter(other => other !== instance)
      }
    }
  }
}
