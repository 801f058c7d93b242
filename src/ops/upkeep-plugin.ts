import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Settings } from '../config/table.ts'
import { collectWhenIdle } from '../idle-collector.ts'
import { rehearseAnswering } from './rehearsal.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** ops: what is done while nobody asks for anything. */
    upkeep: Upkeep
  }
}

export interface Upkeep {
  /** What the first request would have to wait for: run once, when everything else is ready. */
  rehearse (part: () => Promise<unknown>): void
}

export interface UpkeepOptions {
  settings: Pick<Settings, 'allowedHosts' | 'listen' | 'tlsCertFile'>
}

/** From when everything else is ready. */
const delayMs = 100

function plugUpkeep (app: FastifyInstance, { settings }: UpkeepOptions, done: () => void): void {
  const parts: Array<() => Promise<unknown>> = []
  const rehearse = () => { for (const part of parts) void part() }
  const host = 'socketPath' in settings.listen ? 'localhost' : settings.allowedHosts[0]
  app.decorate('upkeep', { rehearse: part => { parts.push(part) } })
  // Where no name is served a probe would be refused, and recorded as if somebody had asked.
  if (host !== undefined) app.upkeep.rehearse(() => rehearseAnswering({ server: app.server, host, secure: settings.tlsCertFile !== undefined }))

  let timer: NodeJS.Timeout | undefined
  const stopCollecting = collectWhenIdle()
  app.addHook('onListen', async () => { timer = setTimeout(rehearse, delayMs).unref() })
  app.addHook('onClose', async () => {
    clearTimeout(timer)
    stopCollecting()
  })
  done()
}

export default fastifyPlugin(plugUpkeep, { name: 'upkeep' })
