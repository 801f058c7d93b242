import { seededRandom } from './random.ts'
import type { World } from './world.ts'

/** What devices do, by weight: most of the time they report. */
const doings = ['report', 'report', 'report', 'report', 'report', 'report', 'update', 'update', 'register', 'deregister', 'expire'] as const

/** Lets the fleet live: devices report, renew their registration, drop out and come back. Only while somebody listens. */
export function startLife ({ options, timers, population, events, channels }: World): void {
  const random = seededRandom(options.seed + 7)
  const size = population.fleet.size
  if (options.quiet || size === 0 || options.eventsPerSecond <= 0) return
  timers.every(1000 / options.eventsPerSecond, () => {
    const [listening] = channels.all
    if (listening === undefined) return
    const device = population.at(random.below(size))
    if (device === undefined) return
    const doing = random.pick(doings)
    if (device.state !== 'registered') return events.register(device.id)
    if (doing === 'report') return reportSomething(device.id)
    if (doing === 'update') return events.updateRegistration(device.id)
    if (doing === 'register') return events.register(device.id)
    if (doing === 'deregister') return events.deregister(device.id)
    events.expire(device.id)
  })

  /** Devices that somebody subscribed to report more often than chance would have it: an empty demo shows nothing. */
  function reportSomething (otherwise: string): void {
    const subscribed = [...channels.all].flatMap(([scope]) => events.subscriptionsOf(scope).devices)
    const device = population.get(subscribed.length > 0 ? random.pick(subscribed) : otherwise)
    const observable = device === undefined ? [] : population.modelOf(device).resources.filter(resource => resource.observable)
    if (device !== undefined && observable.length > 0) events.report(device.id, random.pick(observable).path)
  }
}
