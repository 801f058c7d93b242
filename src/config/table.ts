import * as kinds from './kinds.ts'
import { regionNames } from './regions.ts'

/** One row of the settings table: its names outside, its kind, its default, and the sentence in the reference. */
export interface Row<T = unknown, D extends string | undefined = string | undefined> {
  env: string
  /** `undefined` for secrets and for what is never typed by hand: it has no flag. */
  flag: string | undefined
  kind: kinds.Kind<T>
  /** As text, as a user would write it. */
  default: D
  group: Group
  doc: string
  /** The value may hold a credential: error messages and `status` must not show it. */
  sensitive: boolean
}

export type Group = 'API' | 'Access key' | 'Listener' | 'Browsers' | 'Team' | 'Trail' | 'Channel' | 'Fleet' | 'Limits' | 'Operation'

interface RowOptions<D> { default?: D, group: Group, doc: string, flag?: false, sensitive?: true }

function row<T, const D extends string | undefined = undefined> (env: string, kind: kinds.Kind<T>, options: RowOptions<D>): Row<T, D> {
  return {
    env,
    flag: options.flag === false ? undefined : '--' + env.replace(/^(IZUMA|PROXY)_/, '').toLowerCase().replaceAll('_', '-'),
    kind,
    default: options.default as D,
    group: options.group,
    doc: options.doc,
    sensitive: options.sensitive ?? false
  }
}

export const table = {
  region: row('IZUMA_REGION', kinds.oneOf(...regionNames), { group: 'API', default: 'us-east-1', doc: 'The region whose API host is used.' }),
  apiHost: row('IZUMA_API_HOST', kinds.httpsOrigin, { group: 'API', doc: 'Another API host, in place of the region\'s. The key goes to this origin and to no other.' }),
  caFile: row('IZUMA_CA_FILE', kinds.path, { group: 'API', doc: 'PEM file with further root certificates to trust beside the built-in ones, e.g. of a TLS-inspecting firewall.' }),
  httpsProxy: row('IZUMA_HTTPS_PROXY', kinds.proxyUrl, { group: 'API', sensitive: true, doc: 'A forward proxy to reach the API through, by CONNECT; TLS is verified end to end. `HTTPS_PROXY` from the environment is not obeyed.' }),

  accessKeyFile: row('IZUMA_ACCESS_KEY_FILE', kinds.path, { group: 'Access key', doc: 'File that holds the access key (preferred). Watched: a changed key is taken up within a second. Refused if group or others may read it, unless it is a Kubernetes or Docker secret mount.' }),
  accessKeyCommand: row('IZUMA_ACCESS_KEY_COMMAND', kinds.text, { group: 'Access key', sensitive: true, doc: 'Command that prints the access key, e.g. a password manager\'s CLI. Run at start, on SIGHUP, once after a 401, and when the cached key is too old.' }),
  accessKeyCommandTimeout: row('IZUMA_ACCESS_KEY_COMMAND_TIMEOUT', kinds.duration, { group: 'Access key', default: '10s', doc: 'Time the command may take.' }),
  accessKeyCommandTtl: row('IZUMA_ACCESS_KEY_COMMAND_TTL', kinds.duration, { group: 'Access key', default: '15m', doc: 'How long the command\'s key is used before it is run again.' }),
  accessKey: row('IZUMA_ACCESS_KEY', kinds.text, { group: 'Access key', flag: false, sensitive: true, doc: 'The access key itself, for local trials only: other processes of the same user can read the environment.' }),

  listen: row('PROXY_LISTEN', kinds.listenAddress, { group: 'Listener', default: '127.0.0.1:8080', doc: 'Where the proxy listens: `host:port` (port 0 takes any free one), `[::1]:8080` or `unix:/path`. An address beyond this machine needs `PROXY_TEAM_FILE`.' }),
  tlsCertFile: row('PROXY_TLS_CERT_FILE', kinds.path, { group: 'Listener', doc: 'PEM certificate chain: the listener speaks TLS.' }),
  tlsKeyFile: row('PROXY_TLS_KEY_FILE', kinds.path, { group: 'Listener', doc: 'PEM private key of that certificate.' }),
  tlsClientCaFile: row('PROXY_TLS_CLIENT_CA_FILE', kinds.path, { group: 'Listener', doc: 'PEM certificates of the authority that signs client certificates: mutual TLS, the member is the certificate\'s CN.' }),
  healthListen: row('PROXY_HEALTH_LISTEN', kinds.listenAddress, { group: 'Listener', doc: 'A second listener that serves only health and metrics, e.g. `0.0.0.0:9090` for the kubelet.' }),
  allowedHosts: row('PROXY_ALLOWED_HOSTS', kinds.hosts, { group: 'Listener', default: 'localhost,127.0.0.1,[::1]', doc: '`Host` values that are served, without port (any port) or with one (that port). Stops DNS rebinding.' }),

  allowedOrigins: row('PROXY_ALLOWED_ORIGINS', kinds.webOrigins, { group: 'Browsers', default: '', doc: 'Exact origins whose pages may use the proxy, e.g. `http://localhost:5173`.' }),

  teamFile: row('PROXY_TEAM_FILE', kinds.path, { group: 'Team', doc: 'Members, their token digests, policies and limits. Without it everyone on this machine is the member `local`.' }),
  localDeny: row('PROXY_LOCAL_DENY', kinds.list, { group: 'Team', default: '', doc: 'Without a team: presets and rules for what `local` may not do, e.g. `no-remote-shell,no-key-management` or `DELETE /v3/devices/**`. Nothing by default.' }),

  trail: row('PROXY_TRAIL', kinds.trailStore, { group: 'Trail', default: 'sqlite:data/trail.db', sensitive: true, doc: 'Where the trail is kept to be searched: `sqlite:path` or `postgres://user:password@host/database`.' }),
  trailJournal: row('PROXY_TRAIL_JOURNAL', kinds.path, { group: 'Trail', doc: 'Folder of the journal. Default: beside the SQLite file, else `data/trail.journal`.' }),
  trailRetention: row('PROXY_TRAIL_RETENTION', kinds.duration, { group: 'Trail', default: '30d', doc: 'Age at which records are deleted.' }),
  trailMaxSize: row('PROXY_TRAIL_MAX_SIZE', kinds.size, { group: 'Trail', default: '10GiB', doc: 'Size of the store beyond which the oldest records are deleted.' }),
  trailOnFailure: row('PROXY_TRAIL_ON_FAILURE', kinds.oneOf('block', 'continue'), { group: 'Trail', default: 'block', doc: '`block`: what cannot be recorded is not forwarded (503). `continue`: it is forwarded, counted, and health is degraded.' }),
  trailSync: row('PROXY_TRAIL_SYNC', kinds.yesNo, { group: 'Trail', default: 'false', doc: 'Flush the journal to the disk before forwarding, to survive a power loss and not only a crash. Costs throughput.' }),

  channel: row('PROXY_CHANNEL', kinds.oneOf('off', 'on-demand', 'always'), { group: 'Channel', default: 'on-demand', doc: 'Whether the proxy owns the key\'s notification channel and shares it: never, from the first listener on, or always. With `off` the channel\'s paths are forwarded like any other.' }),
  channelReplay: row('PROXY_CHANNEL_REPLAY', kinds.size, { group: 'Channel', default: '32MiB', doc: 'Memory for past events of the channel: how far a member that was away or is slow may lag behind before it is told that events were lost.' }),

  redisUrl: row('PROXY_REDIS_URL', kinds.redisUrl, { group: 'Fleet', flag: false, sensitive: true, doc: 'A Redis (6.2 or newer) or Valkey through which several instances with the same access key act as one: shared limits, one notification channel. While it is away each goes on with its share of the limits. Use `rediss://` beyond this machine: what devices send passes through it.' }),
  redisPrefix: row('PROXY_REDIS_PREFIX', kinds.namePrefix, { group: 'Fleet', default: 'izuma-proxy:', doc: 'Begins every name in Redis. Instances with another access key need another prefix.' }),
  redisCaFile: row('PROXY_REDIS_CA_FILE', kinds.path, { group: 'Fleet', doc: 'PEM file with further root certificates to trust for `rediss://`.' }),

  upstreamConnections: row('PROXY_UPSTREAM_CONNECTIONS', kinds.integer(1, 4096), { group: 'Limits', default: '512', doc: 'Most connections to the API at the same time.' }),
  upstreamWarmConnections: row('PROXY_UPSTREAM_WARM_CONNECTIONS', kinds.integer(0, 64), { group: 'Limits', default: '2', doc: 'Connections opened ahead at start and kept ready.' }),
  upstreamKeepAlive: row('PROXY_UPSTREAM_KEEP_ALIVE', kinds.duration, { group: 'Limits', default: '4m', doc: 'How long an idle connection to the API is kept, unless the API says less.' }),
  upstreamConnectTimeout: row('PROXY_UPSTREAM_CONNECT_TIMEOUT', kinds.duration, { group: 'Limits', default: '5s', doc: 'Time to connect to the API, TLS included.' }),
  upstreamQueue: row('PROXY_UPSTREAM_QUEUE', kinds.integer(1, 1_000_000), { group: 'Limits', default: '10000', doc: 'Most requests that wait for a connection to the API at the same time, once all `PROXY_UPSTREAM_CONNECTIONS` are taken; one more is refused at once (503 `upstream_busy`).' }),
  upstreamQueueTimeout: row('PROXY_UPSTREAM_QUEUE_TIMEOUT', kinds.duration, { group: 'Limits', default: '10s', doc: 'Longest time a request waits for one of the `PROXY_UPSTREAM_CONNECTIONS` to be free before it is refused (503 `upstream_busy`). The time to connect is not part of it: whoever has a connection made no longer waits.' }),
  upstreamHeadersTimeout: row('PROXY_UPSTREAM_HEADERS_TIMEOUT', kinds.duration, { group: 'Limits', default: '30s', doc: 'Time from the end of the request to the headers of the API\'s answer. Long polls are exempt.' }),
  upstreamBodyIdleTimeout: row('PROXY_UPSTREAM_BODY_IDLE_TIMEOUT', kinds.duration, { group: 'Limits', default: '60s', doc: 'Longest pause inside an answer\'s body. Long polls and event streams are exempt.' }),
  clientHeadersTimeout: row('PROXY_CLIENT_HEADERS_TIMEOUT', kinds.duration, { group: 'Limits', default: '10s', doc: 'Time a client has to send its request headers, or any first byte, or to shake hands for TLS.' }),
  clientBodyIdleTimeout: row('PROXY_CLIENT_BODY_IDLE_TIMEOUT', kinds.duration, { group: 'Limits', default: '30s', doc: 'Time in which at least 1 KiB of a request\'s body has to arrive, as long as the proxy takes it.' }),
  clientKeepAlive: row('PROXY_CLIENT_KEEP_ALIVE', kinds.duration, { group: 'Limits', default: '72s', doc: 'How long an idle client connection is kept.' }),
  websocketIdleTimeout: row('PROXY_WEBSOCKET_IDLE_TIMEOUT', kinds.duration, { group: 'Limits', default: '30s', doc: 'Interval of WebSocket pings; a peer that misses one is cut off.' }),
  websocketMaxMessage: row('PROXY_WEBSOCKET_MAX_MESSAGE', kinds.size, { group: 'Limits', default: '64MiB', doc: 'Largest WebSocket message taken from the API; from clients a sixteenth of it.' }),

  scrubCompressed: row('PROXY_SCRUB_COMPRESSED', kinds.oneOf('identity', 'pass'), { group: 'Operation', default: 'identity', doc: 'Answers are searched for the proxy\'s own key, which compression would hide. `identity`: textual answers are asked for uncompressed. `pass`: the client\'s `Accept-Encoding` is kept, compressed answers pass unsearched.' }),
  rewriteBodyUrls: row('PROXY_REWRITE_BODY_URLS', kinds.yesNo, { group: 'Operation', default: 'false', doc: 'Rewrite absolute URLs of the API\'s own origin in JSON answers to the proxy\'s, so that a frontend that follows them stays on the proxy.' }),
  drainTimeout: row('PROXY_DRAIN_TIMEOUT', kinds.duration, { group: 'Operation', default: '10s', doc: 'Longest wait for running requests after SIGTERM.' }),
  quitEndpoint: row('PROXY_QUIT_ENDPOINT', kinds.yesNo, { group: 'Operation', default: 'false', doc: 'Serve `POST /_proxy/quit`, which stops the proxy as SIGTERM does: for a Kubernetes Job whose main container is done.' }),
  otlpEndpoint: row('PROXY_OTLP_ENDPOINT', kinds.baseUrl, { group: 'Operation', doc: 'OpenTelemetry collector that spans are sent to by OTLP over HTTP (`/v1/traces` is appended), e.g. `http://localhost:4318`. Without it nothing is traced.' }),
  otlpHeaders: row('PROXY_OTLP_HEADERS', kinds.headerPairs, { group: 'Operation', default: '', flag: false, sensitive: true, doc: 'Headers for the collector, e.g. its own API key.' }),
  logLevel: row('PROXY_LOG_LEVEL', kinds.oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'), { group: 'Operation', default: 'info', doc: 'Least severe log line written.' }),
  logPretty: row('PROXY_LOG_PRETTY', kinds.autoYesNo, { group: 'Operation', default: 'auto', doc: 'Log lines for people instead of JSON. `auto`: when standard output is a terminal.' })
}

type Table = typeof table
export type SettingKey = keyof Table
type ValueOf<R> = R extends Row<infer T, infer D> ? D extends string ? T : T | undefined : never

/** All settings, decoded: durations in milliseconds, sizes in bytes. */
export type Settings = { [K in SettingKey]: ValueOf<Table[K]> }

export const rows = Object.entries(table) as [SettingKey, Row][]
