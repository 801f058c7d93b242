import type { FastifyBaseLogger } from 'fastify'
import type { Settings } from '../config/table.ts'
import type { TeamService, UpstreamService } from '../decorations.ts'
import type { TrailService } from '../trail/record.ts'
import type { EventLog } from './event-log.ts'
import type { ChannelLimits } from './limits.ts'
import type { Sharing } from './sharing.ts'
import type { StateMap } from './state-journal.ts'

/** What the room is made of, and what it needs of others. */
export interface RoomParts {
  settings: Pick<Settings, 'channel' | 'websocketIdleTimeout' | 'websocketMaxMessage'>
  limits: ChannelLimits
  state: StateMap
  log: EventLog
  sharing: Sharing
  upstream: UpstreamService
  trail: TrailService
  team: TeamService
  logger: FastifyBaseLogger
  /** Takes our own keys out of what the API sent. */
  mask: (data: Buffer) => Buffer
  keyFingerprint: () => string | undefined
  /** With the status of an upgrade, for the key that was sent. */
  upgradeAnswered: (status: number) => void
}
