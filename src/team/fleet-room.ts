import type { FastifyInstance } from 'fastify'
import type { FleetService } from '../decorations.ts'
import { FleetNews } from './fleet-news.ts'
import { FleetSubscription } from './fleet-subscription.ts'
import { FleetUsage } from './fleet-usage.ts'
import { FleetLimits } from './limits-fleet.ts'
import { LocalLimits } from './limits-local.ts'
import type { Clock } from './limits.ts'

const beatMs = 1000

/** With a Redis that answers, longest wait at start for the limits to be shared: before, an instance has next to nothing to give. */
const joinMs = 1000

/** What the team's state has to do when others tell something. */
export interface FleetListener {
  onChanged (): void
  onMarks (marks: ReadonlySet<string>): void
  onEnded (session: string, expiresMs: number): void
}

export interface TeamFleet {
  limits: FleetLimits
  news: FleetNews
  /** Begins to act as one with the others. */
  begin (): void
}

/** Limits and news of several instances, wired to Redis. */
export function joinFleet (app: FastifyInstance, fleet: FleetService, clock: Clock, listener: FleetListener): TeamFleet {
  let aheadMs = 0
  const wallMs = (): number => clock.wallMs() + aheadMs
  const local = new LocalLimits({ ...clock, wallMs })
  const usage = new FleetUsage({ fleet, local, pressure: () => limits.ownPressure(), onClock: ms => { aheadMs = ms } })
  const limits: FleetLimits = new FleetLimits({ clock, fleet, local, usage, isListening: () => subscription?.listening === true, onChange: (shared, reason) => logChange(app, fleet, shared, reason) })
  const news = new FleetNews({ fleet, nowMs: wallMs, ...listener })
  let subscription: FleetSubscription | undefined
  return { limits, news, begin }

  function begin (): void {
    const joined = Promise.withResolvers<void>()
    const begun = async (): Promise<void> => {
      await news.catchUp()
      await limits.beat()
      joined.resolve()
    }
    subscription = new FleetSubscription({
      fleet,
      channels: { [fleet.key(`limits:grants:${fleet.instance}`)]: message => limits.hear(message), [news.channel]: news.hear },
      onBegin: () => { void begun() },
      onEnd: () => limits.restart()
    })
    const timer = setInterval(() => {
      void limits.beat()
      if (fleet.up) void usage.exchange()
    }, beatMs).unref()
    app.addHook('onReady', async () => {
      if (fleet.up) await Promise.race([joined.promise, new Promise(resolve => setTimeout(resolve, joinMs).unref())])
    })
    app.addHook('onClose', async () => {
      clearInterval(timer)
      await usage.exchange()
      await limits.leave()
      subscription?.close()
    })
  }
}

function logChange ({ log }: FastifyInstance, { size }: FleetService, shared: boolean, reason: string): void {
  if (shared) log.info({ instances: size }, 'limits are shared with the other instances')
  else log.warn({ instances: size, reason }, 'limits are this instance\'s share, until Redis answers')
}
