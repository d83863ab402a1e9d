/** Signatures made with a secret that both sides hold (RFC 7518, section 3.2). */
export const secretAlgorithms = ['HS256', 'HS384', 'HS512'] as const
export type SecretAlgorithm = (typeof secretAlgorithms)[number]

/**
 * Signatures that a public key verifies (RFC 7518, RFC 8037). `Ed25519` is the newer name of `EdDSA`
 * (RFC 9864).
 */
export const publicAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const
export type PublicAlgorithm = (typeof publicAlgorithms)[number]

/** What a key set may sign with when `algorithms` is left out. */
export const keySetAlgorithms: readonly PublicAlgorithm[] = [
  'RS256',
  'PS256',
  'ES256',
  'EdDSA',
  'Ed25519',
]
