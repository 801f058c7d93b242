import type { FastifyInstance } from 'fastify'

export interface DrainOptions {
  /** Longest time until everything is closed, milliseconds. */
  timeoutMs: number
}

export interface Drained {
  /** True if connections had to be cut off, or something did not close in time. */
  forced: boolean
  tookMs: number
}

/** Kept back from the time limit so that journal and store are closed properly after a cut. */
const longestReserveMs = 1000

/**
 * Ends the service so that nobody loses an answer: `readyz` turns red, nobody new gets in, idle and silent
 * connections are closed, WebSockets get 1001, running requests end with `Connection: close`; what is left at
 * the time limit is cut off. Then every plugin is closed. Resolves in any case within `timeoutMs`.
 */
export async function drain (app: FastifyInstance, { timeoutMs }: DrainOptions): Promise<Drained> {
  const { connections, health, log } = app
  const startedAt = performance.now()
  const spentMs = () => performance.now() - startedAt
  log.info({ answers: connections.openAnswers, upgraded: connections.openUpgrades, connections: connections.openSockets, timeout_ms: timeoutMs }, 'draining')
  health.beginDrain()
  app.server.close()
  connections.beginDrain()
  const finished = await connections.whenDone(timeoutMs - Math.min(longestReserveMs, timeoutMs / 10))
  if (!finished) log.warn({ answers: connections.openAnswers, upgraded: connections.openUpgrades }, 'cut off what did not end in time')
  connections.closeAll()
  const closed = await settlesWithin(app.close(), Math.max(0, timeoutMs - spentMs()))
  const drained = { forced: !finished || !closed, tookMs: Math.round(spentMs()) }
  log.info({ forced: drained.forced, took_ms: drained.tookMs }, 'drained')
  return drained
}

async function settlesWithin (closing: PromiseLike<unknown>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>(resolve => { timer = setTimeout(() => { resolve(false) }, timeoutMs) })
  try {
    return await Promise.race([closing.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}
