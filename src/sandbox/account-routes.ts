import { errors, ok } from './answer.ts'
import type { Answer } from './answer.ts'
import { Collection, collectionRoutes, readFields, withAccountTwins } from './collection.ts'
import type { Exchange } from './exchange.ts'
import type { Route } from './router.ts'
import type { World } from './world.ts'

const userFields = { username: 30, email: 254, full_name: 100, phone_number: 100, address: 100, status: 20, groups: Infinity, custom_fields: Infinity }

/** The account itself, its users, policy groups and limitations. */
export function accountRoutes (world: World): Route[] {
  const { ids, accountId } = world
  const account = describeAccount(accountId)
  const users = new Collection('user', ids, accountId)
  const groups = new Collection('group', ids, accountId)
  const limitations = new Collection('limitation', ids, accountId)
  for (const name of ['Administrators', 'Developers']) groups.create({ name, apikey_count: 0, application_count: 0, user_count: 1 })
  for (const name of ['rosa', 'tomek', 'ines']) users.create({ username: name, email: `${name}@example.com`, full_name: name, status: 'ACTIVE', groups: [], email_verified: true })
  for (const [name, limit] of [['devices', 100_000], ['certificates', 100], ['api-calls', 10_000_000]]) limitations.create({ name, limit, quota: limit, inherited: false })
  const origin = (): string => world.origin

  async function updateAccount (exchange: Exchange): Promise<Answer> {
    const writable = { display_name: 100, company: 100, email: 254, contact: 100, city: 100, country: 100, phone_number: 100, custom_fields: Infinity }
    return ok(Object.assign(account, readFields({ writable }, await exchange.json(), false)))
  }

  /** The only time a password is shown. */
  async function createUser (exchange: Exchange): Promise<Answer> {
    const body = await exchange.json()
    const user = users.create({ status: 'INVITED', ...readFields({ writable: userFields, required: ['email'] }, body, true) })
    const password = typeof body['password'] === 'string' ? body['password'] : ids.next()
    return { status: 201, json: { ...user, password }, headers: { Location: `${world.origin}/v3/users/${user.id}` } }
  }

  function findAccount (exchange: Exchange): Answer {
    if (exchange.param('account_id') !== accountId) throw errors.notFound('Account not found.')
    return ok(account)
  }

  const userRoutes = collectionRoutes({ collection: users, path: '/v3/users', writable: userFields, origin })
    .map(route => route.method === 'POST' ? { ...route, handle: createUser } : route)
  return [
    { method: 'GET', path: '/v3/accounts', handle: () => ok({ object: 'list', limit: 1000, after: null, order: 'ASC', has_more: false, total_count: 1, data: [account] }) },
    { method: 'GET', path: '/v3/accounts/me', handle: () => ok(account) },
    { method: 'PUT', path: '/v3/accounts/me', handle: updateAccount },
    { method: 'GET', path: '/v3/accounts/{account_id}', handle: findAccount },
    ...withAccountTwins([
      ...userRoutes,
      ...collectionRoutes({ collection: groups, path: '/v3/policy-groups', writable: { name: 100 }, required: ['name'], unique: 'name', origin }),
      ...collectionRoutes({ collection: limitations, path: '/v3/limitations', origin })
    ], accountId)
  ]
}

function describeAccount (id: string) {
  const created = '2018-02-13T09:35:20Z'
  return {
    object: 'account',
    id,
    etag: '1',
    status: 'ACTIVE',
    display_name: 'Sandbox account',
    company: 'Example Devices',
    email: 'admin@example.com',
    contact: 'J. Doe',
    country: 'Finland',
    city: 'Oulu',
    aliases: ['sandbox'],
    tier: '1',
    end_market: 'IT',
    idle_timeout: 30,
    mfa_status: 'optional',
    notification_emails: ['admin@example.com'],
    password_recovery_expiration: 45,
    limits: {},
    policies: [],
    sub_accounts: [],
    custom_fields: {},
    created_at: created,
    updated_at: created,
    upgraded_at: created
  }
}
