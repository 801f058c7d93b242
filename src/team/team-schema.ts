import * as Type from 'typebox'
import { presetNames } from './presets.ts'

/**
 * The team file. `title` completes "expected …" in error messages; `description` is what an editor shows.
 * `config/team.schema.json` is this, printed.
 */
const rate = Type.String({
  pattern: '^[0-9]+(\\.[0-9]+)?/(s|m|h)$',
  title: 'a rate such as 20/s, 600/m or 1000/h',
  description: 'Requests a second, minute or hour, as a token bucket.'
})

function count (description: string) {
  return Type.Integer({ minimum: 1, maximum: 1_000_000_000, title: 'a whole number from 1', description })
}

function orNull<T extends Parameters<typeof Type.Union>[0][number]> (schema: T, description: string) {
  return Type.Optional(Type.Union([schema, Type.Null()], { title: `${(schema as { title?: string }).title}, or null for no limit`, description }))
}

const time = Type.String({
  pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2}))?$',
  title: 'a time such as 2027-01-31T12:00:00Z'
})

const token = Type.Object({
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$', title: '64 lowercase hex digits, the SHA-256 of a token', description: 'SHA-256 of the whole token, izp_ included. The token itself must never stand here.' }),
  created: Type.Optional(time),
  expires: Type.Optional({ ...time, description: 'From then on the token is worth nothing. Without it, it lasts until it is taken out.' }),
  note: Type.Optional(Type.String({ maxLength: 200, title: 'text of at most 200 characters' }))
}, { additionalProperties: false, title: 'an object' })

const rule = Type.String({ minLength: 2, maxLength: 500, title: 'a rule such as "GET /v3/devices/**"' })

const policy = {
  mode: Type.Optional(Type.Enum(['enforce', 'report'], { title: '"enforce" or "report"', description: 'In report mode what the policy would deny is let through and noted in the trail as would-deny; remote shell and key management stay denied.' })),
  presets: Type.Optional(Type.Array(Type.Enum([...presetNames], { title: `one of ${presetNames.join(', ')}` }), { title: 'a list', description: 'Ready-made denials. no-remote-shell and no-key-management hold for everybody, named here or not; a rule of allow that names such an endpoint lifts them there.' })),
  allow: Type.Optional(Type.Array(rule, { title: 'a list', description: 'What is allowed. With any rule here, everything else is denied; "/**" is everything.' })),
  deny: Type.Optional(Type.Array(rule, { title: 'a list', description: 'What is denied, whatever allow says.' })),
  devices: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 200, title: 'a device id' }), { title: 'a list', description: 'Device ids (one * each may stand for any beginning or end). With any, paths that name another device are denied and events of other devices are not delivered. Lists and campaigns span all devices: deny them by rules.' }))
}

const limits = {
  rate: orNull(rate, 'Requests in a time; beyond it 429 rate_limited.'),
  burst: Type.Optional(count('Requests at once after a pause. Default: what the rate gives in two seconds.')),
  concurrency: orNull(count('Ordinary requests open at the same time.'), 'Ordinary requests open at the same time; beyond it 429 concurrency_limited.'),
  daily: orNull(count('Requests sent to the API in a day.'), 'Requests sent to the API in a day (UTC); beyond it 429 budget_spent.'),
  longPolls: orNull(count('Long polls open at the same time.'), 'Long polls open at the same time. Default 4.'),
  webSockets: orNull(count('WebSockets and event streams open at the same time.'), 'WebSockets and event streams open at the same time. Default 32.')
}

const member = Type.Object({
  role: Type.Optional(Type.Enum(['admin', 'member'], { title: '"admin" or "member"', description: 'Admins see everybody\'s trail, metrics and members; what they may ask of the API is a matter of policy all the same. Default: member.' })),
  tokens: Type.Optional(Type.Array(token, { title: 'a list', description: 'Two during a rotation. None with mutual TLS, where the certificate\'s CN is the member\'s name.' })),
  ...policy,
  ...limits
}, { additionalProperties: false, title: 'an object' })

const key = Type.Object({
  rate: limits.rate,
  burst: limits.burst,
  concurrency: orNull(count('Ordinary requests of all members open at the same time.'), 'Ordinary requests of all members open at the same time. Default: PROXY_UPSTREAM_CONNECTIONS, of each instance.'),
  longPolls: orNull(count('Long polls of all members open at the same time.'), 'Long polls of all members open at the same time. Default: none while the proxy owns the channel, else half of concurrency.'),
  webSockets: limits.webSockets,
  maxWait: Type.Optional(Type.String({ pattern: '^[0-9]+(ms|s)$', title: 'a duration such as 500ms or 5s', description: 'How long a request waits for its turn when the shared limit is reached, before it gets 429. Default 5s.' })),
  maxWaiting: Type.Optional(count('How many requests may wait for their turn. Default 10000.'))
}, { additionalProperties: false, title: 'an object', description: 'What all members share, because they share one access key, on all instances of PROXY_REDIS_URL together. Reached, members are served in turn.' })

export const memberName = '^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$'

export const teamSchema = Type.Object({
  $schema: Type.Optional(Type.String({ title: 'text' })),
  key: Type.Optional(key),
  defaults: Type.Optional(Type.Object({ ...policy, ...limits }, { additionalProperties: false, title: 'an object', description: 'Holds for every member that doesn\'t say otherwise.' })),
  members: Type.Record(Type.String({ pattern: memberName }), member, { additionalProperties: false, title: 'an object', description: 'By name: letters, digits and . _ @ + -, at most 64.' })
}, { additionalProperties: false, title: 'an object' })

export type TeamJson = Type.Static<typeof teamSchema>
export type MemberJson = Type.Static<typeof member>
export type TokenJson = Type.Static<typeof token>

/** `config/team.schema.json`. */
export function renderTeamSchema (): string {
  const document = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Team file of izuma-proxy',
    description: 'Members, the digests of their tokens, their policies and limits. Re-read within a second of a change.',
    ...(JSON.parse(JSON.stringify(teamSchema)) as object)
  }
  return JSON.stringify({ ...document, title: 'Team file of izuma-proxy' }, null, 2) + '\n'
}
