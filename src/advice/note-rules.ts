import { sources, type NoteRule } from './rule.ts'

/** On what the guard did to keep keys where they belong; the codes are its notes. */
export const noteRules: readonly NoteRule[] = [
  {
    code: 'key_removed_from_query',
    text: 'A key stood in the URL and was removed before the request went on. Browsers, proxies and logs on the way here may have kept it: treat it as published and replace it.',
    source: sources.accessKeys,
    applies: 'a query that holds a key, or a parameter that is named like one'
  },
  {
    code: 'key_sent_as_token',
    text: 'An access key was sent where the member token belongs. It went no further; the proxy uses its own. Take the key out of this client.',
    source: sources.accessKeys,
    applies: '`Authorization` with an access key'
  },
  {
    code: 'key_removed_from_header',
    text: 'A key stood in a header and was removed before the request went on, e.g. in Referer: then the address of the page holds it.',
    source: sources.accessKeys,
    applies: 'any header with a key in it'
  }
]
