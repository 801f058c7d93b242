import { sources, type Rule } from './rule.ts'

/** Keys, accounts and what they may do. */
export const accessRules: Rule[] = [
  {
    rule: 'key_not_accepted',
    status: [401],
    likely: 'The API did not accept the proxy\'s access key: it is expired, inactive or deleted, or belongs to another region or host.',
    next: 'Run `izuma-proxy check`. Look the key up in the portal (Access Management > Applications), and put a working one into IZUMA_ACCESS_KEY_FILE; it is taken up within a second.',
    source: sources.troubleshooting
  },
  {
    rule: 'quota_of_account',
    status: [403],
    type: ['account_limit_exceeded'],
    likely: 'A quota of the account is used up. This has nothing to do with how fast requests come.',
    next: 'GET /v3/limitations shows the quotas. Delete what is no longer needed, or ask for more.',
    source: sources.troubleshooting
  },
  {
    rule: 'notifications_need_access_key',
    status: [403],
    path: /^\/v2\/(?:notification|subscriptions)/,
    likely: 'Notification endpoints take only an access key of an application, no session or reference token.',
    next: 'Make an access key for an application in the portal, and give that one to the proxy.',
    source: sources.specification
  },
  {
    rule: 'not_permitted',
    status: [403],
    likely: 'The account\'s type does not include this operation, or no policy group of the application allows it.',
    next: 'Compare the application\'s policy groups in the portal with what this request needs. Some operations exist for commercial accounts only.',
    source: sources.using
  }
]
