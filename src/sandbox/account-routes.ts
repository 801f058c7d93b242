import { errors, ok } from './answer.ts'
import type { Route } from './router.ts'
import type { World } from './world.ts'

export function accountRoutes (world: World): Route[] {
  const created = '2018-02-13T09:35:20Z'
  const account = {
    object: 'account',
    id: world.accountId,
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
    business_model: 'api_calls_1_business_model',
    limits: { 'device-requests': '100000' },
    policies: [],
    sub_accounts: [],
    custom_fields: {},
    created_at: created,
    updated_at: created,
    upgraded_at: created
  }
  function own (id: string): typeof account {
    if (id !== world.accountId) throw errors.notFound('Account not found.')
    return account
  }

  return [
    { method: 'GET', path: '/v3/accounts/me', handle: () => ok(account) },
    { method: 'GET', path: '/v3/accounts/{account_id}', handle: exchange => ok(own(exchange.param('account_id'))) }
  ]
}
