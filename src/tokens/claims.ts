import { type AccessLevel, accessLevels } from '../types.ts'

/** What a token says: one session, in the words of the session. */
export interface TokenClaims {
  /** The claim `jti`. */
  readonly sessionId: string
  /** The claim `act.sub` (RFC 8693, section 4.1): who is really there. */
  readonly actorId: string
  /** The claim `sub`. */
  readonly targetUserId: string
  /** The claim `org_id`, left out where null. */
  readonly targetOrgId: string | null
  /** The claim `access_level`. */
  readonly accessLevel: AccessLevel
  /** The claim `grant_id`, left out where null. */
  readonly grantId: string | null
  /** The claim `client_id` (RFC 8693, section 4.3), left out where null. */
  readonly clientId: string | null
  /**
   * The claim `exp`, in ms since the epoch. The token holds whole seconds: what is beyond the last one
   * is cut off, so that a token never outlives its session.
   */
  readonly expiresAt: number
}

/** The claims of a token that has been verified. */
export interface VerifiedTokenClaims extends TokenClaims {
  /** The claim `iat`, in ms since the epoch. */
  readonly issuedAt: number
}

/** Whose tokens they are. */
export interface TokenParties {
  readonly issuer: string
  readonly audience: string
}

/** The payload of a token, in its one spelling. */
export function writePayload(claims: VerifiedTokenClaims, { issuer, audience }: TokenParties) {
  return Buffer.from(
    JSON.stringify({
      iss: issuer,
      aud: audience,
      sub: claims.targetUserId,
      act: { sub: claims.actorId },
      jti: claims.sessionId,
      iat: claims.issuedAt / 1000,
      exp: claims.expiresAt / 1000,
      access_level: claims.accessLevel,
      grant_id: claims.grantId ?? undefined,
      client_id: claims.clientId ?? undefined,
      org_id: claims.targetOrgId ?? undefined,
    }),
  )
}

/**
 * The claims of a payload, null when it is not byte for byte what {@link writePayload} makes of them:
 * another claim, another order, a member given twice, `aud` as a list, an actor within an actor.
 */
export function readPayload(encoded: string, parties: TokenParties): VerifiedTokenClaims | null {
  const given = parse(Buffer.from(encoded, 'base64url').toString())
  const claims = {
    sessionId: given.jti,
    actorId: (given.act as { sub?: unknown } | null | undefined)?.sub,
    targetUserId: given.sub,
    targetOrgId: given.org_id ?? null,
    accessLevel: given.access_level,
    grantId: given.grant_id ?? null,
    clientId: given.client_id ?? null,
    issuedAt: Number(given.iat) * 1000,
    expiresAt: Number(given.exp) * 1000,
  }
  if (!areClaims(claims)) return null
  const same = writePayload(claims, parties).toString('base64url') === encoded
  return same ? Object.freeze(claims) : null
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    return (JSON.parse(text) as Record<string, unknown> | null) ?? {}
  } catch {
    return {}
  }
}

/** Whether a token may say this: every member there, of its type, and ending after it begins. */
export function areClaims(
  claims: Readonly<Record<keyof VerifiedTokenClaims, unknown>>,
): claims is VerifiedTokenClaims {
  const { sessionId, actorId, targetUserId, issuedAt, expiresAt } = claims
  const optional = [claims.targetOrgId, claims.grantId, claims.clientId]
  return (
    [sessionId, actorId, targetUserId].every(isText) &&
    optional.every((one) => one === null || isText(one)) &&
    accessLevels.some((level) => level === claims.accessLevel) &&
    isInstant(issuedAt) &&
    isInstant(expiresAt) &&
    issuedAt < expiresAt
  )
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''

/** Whole seconds, in ms. */
const isInstant = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) % 1000 === 0
