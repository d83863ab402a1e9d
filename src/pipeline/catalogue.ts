import type { Guardrail } from '../types.ts'

/**
 * What is guarded where the host has not said: path words, on unsafe methods. Words of the first list
 * count anywhere in a segment (`/changePassword2`), those of the second as a word of their own
 * (`/users/1/roles`, `/delete-account`), singular or plural.
 */
const anywhere: ReadonlyArray<readonly [Guardrail, readonly string[]]> = [
  ['password', ['password', 'passwd', 'passphrase', 'passcode']],
  ['recovery_code', ['recovery', 'backupcode', 'backup-code', 'backup_code']],
  [
    'mfa',
    [
      'mfa',
      '2fa',
      'totp',
      'two-factor',
      'two_factor',
      'twofactor',
      'second-factor',
      'authenticator',
      'webauthn',
      'passkey',
    ],
  ],
  ['email', ['email', 'e-mail']],
  ['role_grant', ['permission', 'impersonat', 'superuser', 'privilege']],
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
      'creditcard',
      'credit-card',
      'withdraw',
    ],
  ],
  ['legal_acceptance', ['legal', 'consent', 'agreement', 'terms', 'gdpr']],
  ['account_deletion', ['deactivat', 'close-account', 'closeaccount', 'deleteaccount']],
  [
    'credential',
    [
      'token',
      'apikey',
      'api-key',
      'api_key',
      'oauth',
      'webhook',
      'secret',
      'credential',
      'ssh-key',
      'sshkey',
      'ssh_key',
      'certificate',
    ],
  ],
]

const words: ReadonlyArray<readonly [Guardrail, readonly string[]]> = [
  ['password', ['pw', 'pwd']],
  ['mfa', ['otp']],
  ['role_grant', ['role', 'admin', 'grant']],
  ['payment', ['pay', 'bank', 'iban', 'wallet', 'purchase']],
  ['legal_acceptance', ['tos', 'contract']],
  ['account_deletion', ['account']],
  ['credential', ['key', 'integration', 'saml', 'sso', 'oidc']],
]

const loose = anywhere.map(([kind, list]) => [kind, new RegExp(list.join('|'))] as const)
const whole = words.map(
  ([kind, list]) =>
    [kind, new RegExp(`(?:^|[^a-z0-9])(?:${list.join('|')})(?:s|es)?(?:$|[^a-z0-9])`)] as const,
)

/** The kind of write that a path speaks of, in any of its readings. */
export function catalogueKind(readings: readonly string[]): Guardrail | undefined {
  for (const list of [loose, whole])
    for (const [kind, pattern] of list) if (readings.some((one) => pattern.test(one))) return kind
  return undefined
}
