import { get, type IncomingMessage } from 'node:http'
import { waitFor } from './wait-for.ts'

interface Message { notifications?: unknown[], 'async-responses'?: unknown[] }

/** A member's event stream, read as a browser does. */
export class EventSource {
  readonly #response: IncomingMessage
  readonly items: unknown[] = []
  /** Of requests to devices. */
  readonly answers: unknown[] = []
  readonly gaps: string[] = []
  firstId = ''
  lastId = ''
  #rest = ''

  constructor (response: IncomingMessage) {
    this.#response = response
    response.setEncoding('utf8').on('data', (chunk: string) => this.#readChunk(chunk)).on('error', () => {})
  }

  static open ({ url }: { url: string }, member: string, lastId?: string): Promise<EventSource> {
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${member}`, accept: 'text/event-stream', ...lastId === undefined ? {} : { 'last-event-id': lastId } }
      get(`${url}/_proxy/notifications`, { headers, agent: false }, response => {
        if (response.statusCode === 200) resolve(new EventSource(response))
        else reject(new Error(`event stream: ${response.statusCode}`))
      }).once('error', reject)
    })
  }

  /** Resolves when the stream has ended, however it ended. */
  get over (): Promise<void> { return new Promise(resolve => { this.#response.once('close', resolve) }) }

  async until (count: number, timeoutMs?: number): Promise<unknown[]> {
    return await waitFor(`${count} events`, () => this.items, items => items.length >= count, timeoutMs)
  }

  close (): void { this.#response.destroy() }

  #readChunk (chunk: string): void {
    const parts = (this.#rest + chunk).split('\n\n')
    this.#rest = parts.pop() ?? ''
    for (const part of parts) this.#take(Object.fromEntries(part.split('\n').map(line => line.split(/: ?(.*)/s, 2))) as Record<string, string>)
  }

  #take ({ id, event = 'message', data }: Record<string, string>): void {
    this.lastId = id ?? this.lastId
    if (id === undefined || data === undefined) return
    this.firstId ||= id
    if (event === 'gap') this.gaps.push(data)
    else if (event === 'message') this.#read(JSON.parse(data) as Message)
  }

  #read ({ notifications = [], 'async-responses': answers = [] }: Message): void {
    this.items.push(...notifications)
    this.answers.push(...answers)
  }
}
