import type { AccessKeyService } from '../access-key/secret.ts'
import type { AnswerWatch } from './answer-watch.ts'
import type { Connections } from './connections.ts'
import type { Forwarding } from './forwarding.ts'
import type { Tunnel } from './tunnel.ts'

/** What every exchange shares. */
export interface ExchangeContext extends Forwarding {
  connections: Connections
  watch: AnswerWatch
  accessKey: AccessKeyService
  /** Of WebSocket pings. */
  pingIntervalMs: number
  /** Every open WebSocket, to be closed when the proxy drains. */
  tunnels: Set<Tunnel>
}
