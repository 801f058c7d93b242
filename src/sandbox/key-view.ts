import { errors } from './answer.ts'
import type { FieldFault } from './answer.ts'
import type { JsonObject } from './exchange.ts'
import { mintAccessKey, publicPart, timestamp } from './identifiers.ts'
import type { Credential, CredentialKind } from './keys.ts'
import type { World } from './world.ts'

/** A key as it may be seen, without its secret. */
export function showKey (key: Credential, accountId: string): Record<string, unknown> & { id: string } {
  const created = timestamp(key.createdAt)
  const expired = key.expiresAt !== undefined && key.expiresAt <= Date.now()
  return {
    object: key.kind,
    id: key.id,
    key: publicPart(key.key),
    name: key.name,
    status: expired ? 'EXPIRED' : key.status,
    account_id: accountId,
    ...key.kind === 'access-key' ? { application_id: key.applicationId } : { groups: [], owner: accountId },
    expiration: key.expiresAt === undefined ? null : timestamp(key.expiresAt),
    etag: '1',
    created_at: created,
    updated_at: created,
    last_used_at: key.lastUsedAt === undefined ? null : timestamp(key.lastUsedAt)
  }
}

/** The answer that made a key: the only one that holds it whole. */
export function showNewKey (key: Credential, accountId: string): Record<string, unknown> {
  return { ...showKey(key, accountId), key: key.key }
}

export function createKey ({ keys, ids, accountId }: World, body: JsonObject, kind: CredentialKind, applicationId = ''): Credential {
  const { name, status, expiration } = body
  const faults = judgeKey(body)
  if (faults.length > 0) throw errors.validation(...faults)
  return keys.add({
    key: mintAccessKey(accountId, ids.next(), kind === 'api-key' ? 1 : 2),
    kind,
    name: String(name),
    applicationId,
    expiresAt: typeof expiration === 'string' ? Date.parse(expiration) : undefined,
    status: status === 'INACTIVE' ? 'INACTIVE' : 'ACTIVE'
  })
}

function judgeKey ({ name, status = 'ACTIVE', expiration = '2100-01-01' }: JsonObject): FieldFault[] {
  const faults: FieldFault[] = []
  if (name === undefined) faults.push({ name: 'name', message: 'Parameter missing.' })
  else if (typeof name !== 'string' || name === '' || name.length > 100) faults.push({ name: 'name', message: 'A text of 1 to 100 characters is required.' })
  if (status !== 'ACTIVE' && status !== 'INACTIVE') faults.push({ name: 'status', message: 'ACTIVE or INACTIVE.' })
  if (typeof expiration !== 'string' || Number.isNaN(Date.parse(expiration))) faults.push({ name: 'expiration', message: 'An RFC 3339 time is required.' })
  return faults
}

export function updateKey (key: Credential, { name, status }: JsonObject): Credential {
  if (typeof name === 'string') key.name = name
  if (status === 'ACTIVE' || status === 'INACTIVE') key.status = status
  return key
}
