import { parseRule, RuleSet, type Rule } from './pattern.ts'

/** A rule that a preset is made of: it goes by the preset's name when it decides. */
export interface PresetRule extends Rule { preset: PresetName }

export const presetNames = ['read-only', 'no-delete', 'no-remote-shell', 'no-key-management'] as const
export type PresetName = typeof presetNames[number]

/** Presets that hold for everybody. A rule of `allow` that names such an endpoint, and nothing beyond the preset, lifts them there. */
export const defaultPresets: readonly PresetName[] = ['no-remote-shell', 'no-key-management']

/** What keys, accounts and their rights hang on, below `/v3` and again below `/v3/accounts/{id}`. */
const keyResources = ['api-keys', 'access-keys', 'applications', 'users', 'user-invitations', 'policy-groups', 'identity-providers']

const presetTexts: Record<PresetName, string[]> = {
  'read-only': ['POST,PUT,PATCH,DELETE /**'],
  // Some deletions are disguised as POST.
  'no-delete': [
    'DELETE /**',
    'POST /v3/device-enrollments-bulk-deletes',
    'POST /v3/users/*/remove',
    'POST /v3/accounts/*/users/*/remove',
    'POST /v3/identity-providers/*/delete-sp-certificate',
    'POST /v3/accounts/*/identity-providers/*/delete-sp-certificate'
  ],
  // The console is a root shell on a gateway, the connection a TCP tunnel into its network. Seen below /v3, /v3alpha and /v3preview1.
  'no-remote-shell': ['/*/devices/*/console/**', '/*/devices/*/services/**'],
  // Whoever may create a key, or read a private one, takes it home: the proxy then guards nothing.
  'no-key-management': [
    ...keyResources.map(name => `/v3/${name}/**`),
    ...keyResources.map(name => `/v3/accounts/*/${name}/**`),
    '/v3/**/reset-secret',
    'POST,PUT,PATCH,DELETE /v3/accounts/**',
    '/v3/developer-certificates/**',
    '/v2/device-shared-keys/**',
    'POST,PUT,PATCH,DELETE /v3/certificate-issuers/**',
    'POST,PUT,PATCH,DELETE /v3/certificate-issuer-configurations/**',
    'POST,PUT,PATCH,DELETE /v3/trusted-certificates/**',
    'POST,PUT,PATCH,DELETE /v3/accounts/*/trusted-certificates/**',
    'POST,PUT,PATCH,DELETE /v3/trust-anchors/**',
    '/ace-auth/**'
  ]
}

export function presetRules (names: readonly PresetName[]): PresetRule[] {
  return names.flatMap(preset => presetTexts[preset].map(text => ({ ...parseRule(text), preset })))
}

/** What the default presets deny, compiled once for everybody. */
export const restricted = new RuleSet(presetRules(defaultPresets), { foldCase: true })
