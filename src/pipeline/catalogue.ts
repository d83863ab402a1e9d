import type { Guardrail } from '../types.ts'

/**
 * What is guarded where the host has not said: path words, on unsafe methods. Words of the first list
 * count anywhere in a segment (`/changePassword2`), with or without `-` and `_` where a space stands.
 * Those of the second are words of their own, singular or plural, alone (`/users/1/roles`), set apart
 * (`/delete-account`) or grown together with what is done to them (`/rotateKey`): case is folded here.
 */
const anywhere: ReadonlyArray<readonly [Guardrail, readonly string[]]> = [
  [
    'password',
    [
      'password',
      'passwd',
      'passphrase',
      'passcode',
      'pin code',
      'forgot',
      'auth/reset',
      'self-service/settings',
    ],
  ],
  ['recovery_code', ['recover', 'backup code', 'security question', 'secret question']],
  [
    'mfa',
    [
      'mfa',
      '2fa',
      'totp',
      'two factor',
      'second factor',
      'authenticator',
      'webauthn',
      'passkey',
      'yubikey',
      'one time code',
      'phone number',
      'mobile number',
      'trusted device',
      'remembered device',
    ],
  ],
  ['email', ['email', 'e-mail', 'mail address', 'user name', 'login name', 'profile information']],
  [
    'role_grant',
    [
      'permission',
      'impersonat',
      'superuser',
      'privilege',
      'invitation',
      'membership',
      'ownership',
      'collaborator',
    ],
  ],
  [
    'payment',
    [
      'payment',
      'billing',
      'checkout',
      'subscription',
      'invoice',
      'payout',
      'refund',
      'credit card',
      'debit card',
      'gift card',
      'setup intent',
      'withdraw',
      'donat',
      'direct debit',
      'top up',
    ],
  ],
  [
    'legal_acceptance',
    [
      'legal',
      'consent',
      'agreement',
      'terms',
      'gdpr',
      'ccpa',
      'waiver',
      'data export',
      'export data',
      'data request',
      'e-sign',
      'esign',
    ],
  ],
  [
    'account_deletion',
    [
      'deactivat',
      'close account',
      'delete account',
      'delete user',
      'delete me',
      'delete profile',
      'remove user',
      'erasure',
      'erase',
      'danger zone',
      'anonymi[sz]e',
      'deregister',
      'unregister',
    ],
  ],
  [
    'credential',
    [
      'token',
      'api key',
      'access key',
      'private key',
      'public key',
      'oauth',
      'authori[sz]',
      'webhook',
      'secret',
      'credential',
      'ssh key',
      'certificate',
      'magic link',
      'social account',
      'link social',
      'connected app',
      'identit(?:y|ies)',
    ],
  ],
]

const words: ReadonlyArray<readonly [Guardrail, readonly string[]]> = [
  ['password', ['pw', 'pwd']],
  ['mfa', ['otp', 'phone', 'factor', 'u2f', 'fido2?', 'security']],
  ['email', ['forwarding']],
  [
    'role_grant',
    ['role', 'admin', 'grant', 'member', 'invite', 'owner', 'promote', 'demote', 'acl', 'delegate'],
  ],
  [
    'payment',
    [
      'pay',
      'bank',
      'iban',
      'wallet',
      'purchase',
      'buy',
      'charge',
      'transfer',
      'plan',
      'upgrade',
      'downgrade',
      'deposit',
      'mandate',
      'paypal',
      'stripe',
      'subscribe',
    ],
  ],
  ['legal_acceptance', ['tos', 'contract', 'signature', 'takeout', 'nda']],
  ['account_deletion', ['account', 'closure']],
  [
    'credential',
    [
      'key',
      'integration',
      'saml',
      'sso',
      'oidc',
      'scim',
      'ldap',
      'ssh',
      'gpg',
      'pgp',
      'pat',
      'hook',
    ],
  ],
]

/** What is done to it, in front of a word or behind, as in `changeRole`, `keyRotation` and `bankDetails`. */
const verbs =
  'add|create|new|make|update|change|edit|set|save|replace|reset|delete|remove|drop|destroy|revoke|rotate|' +
  'regenerate|renew|request|confirm|verify|enable|disable|activate|register|enroll|link|unlink|connect|' +
  'disconnect|assign|unassign|accept|decline|approve|send|resend|cancel|close|lock|unlock|transfer|my|user'
const nouns =
  'ids?|numbers?|details|info|settings|codes?|users?|assignments?|accounts?|links?|rotation|deletion|removal|' +
  'changes?|updates?|reset|verification|verify|rotate|revoke|add|delete|remove'

const spaced = (word: string) => word.replaceAll(' ', '[-_]?')
const loose = anywhere.map(
  ([kind, list]) => [kind, new RegExp(list.map(spaced).join('|'))] as const,
)
const whole = words.map(
  ([kind, list]) =>
    [
      kind,
      new RegExp(
        `(?:^|[^a-z0-9])(?:${verbs})?(?:${list.join('|')})(?:s|es)?(?:${nouns})?(?:$|[^a-z0-9])`,
      ),
    ] as const,
)

/** A person, by themselves or by their id: harmless to change, not to delete. */
const person =
  /\/(?:me|self|profile|(?:user|member|customer|client|person|tenant|organi[sz]ation|workspace)s?(?:\/[^/]+)?)$/

/** Whether a request deletes somebody, whatever words stand in its path; `*` may be any method. */
export const deletesPerson = (method: string, readings: readonly string[]): boolean =>
  (method === 'DELETE' || method === '*') && readings.some((one) => person.test(one))

/**
 * The kind of write that a path speaks of, in any of its readings.
 * @param except kinds that somebody else sees to
 */
export function catalogueKind(
  readings: readonly string[],
  except?: ReadonlySet<Guardrail>,
): Guardrail | undefined {
  for (const list of [loose, whole])
    for (const [kind, pattern] of list)
      if (!except?.has(kind) && readings.some((one) => pattern.test(one))) return kind
  return undefined
}
