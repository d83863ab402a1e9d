import { hash } from 'node:crypto'
import type { JWSHeaderParameters, JWTPayload } from 'jose'
import { LRUCache } from 'lru-cache'
import { isImpersonationError } from '../errors.ts'
import type { FoundKey, KeyState } from './keys.ts'
import type { Settings } from './settings.ts'
import { isCompact, shortType } from './spelling.ts'
import type { VerifiedClaims } from './user.ts'

/** A token that has passed every check but the clock's, which is asked anew each time. */
interface Verified {
  readonly payload: VerifiedClaims
  /** Valid in `[from, until)`, ms since the epoch, tolerance included. */
  readonly from: number
  readonly until: number
  readonly state: KeyState
}

/** A value on a cache hit, a promise when the signature has to be checked. Null: no valid login. */
export type VerifyToken = (token: string) => VerifiedClaims | null | Promise<VerifiedClaims | null>

export function tokenVerifier(settings: Settings): VerifyToken {
  const { keys, cacheMax, now } = settings
  const cache = cacheMax > 0 ? new LRUCache<string, Verified>({ max: cacheMax }) : undefined
  const running = new Map<string, Promise<Verified | null>>()

  /** The clock's say; a clock that gives NaN lets nobody in. */
  function current(verified: Verified | null): VerifiedClaims | null {
    const at = now()
    return verified && at >= verified.from && at < verified.until ? verified.payload : null
  }

  function isTrusted({ state }: Verified): boolean {
    return state === keys.state() && now() < state.until
  }

  async function run(token: string, digest: string): Promise<Verified | null> {
    try {
      const verified = await verifyOnce(token, settings)
      if (verified && current(verified)) cache?.set(digest, verified)
      return verified
    } finally {
      running.delete(digest)
    }
  }

  return function verifyToken(token) {
    const digest = hash('sha256', token, 'base64')
    const known = cache?.get(digest)
    if (known && isTrusted(known)) return current(known)
    if (!isCompact(token)) return null
    let verifying = running.get(digest)
    if (!verifying) {
      verifying = run(token, digest)
      running.set(digest, verifying)
    }
    return verifying.then(current)
  }
}

/** Null for whatever is wrong with the token; rejects only when it can't be told. */
async function verifyOnce(token: string, settings: Settings): Promise<Verified | null> {
  const { keys, now, clockToleranceMs } = settings
  const { jwtVerify } = await import('jose/jwt/verify')
  let found: FoundKey | undefined
  try {
    const { payload } = await jwtVerify(
      token,
      async (header) => {
        checkHeader(header, settings)
        found = await keys.find(header)
        return found.key
      },
      {
        algorithms: [...settings.algorithms],
        issuer: [...settings.issuer],
        audience: [...settings.audience],
        requiredClaims: [...settings.requiredClaims],
        currentDate: new Date(now()),
        // jose counts in whole seconds: it may be lax here, since `from` and `until` are exact.
        clockTolerance: clockToleranceMs / 1000 + 1,
      },
    )
    return found && isWhole(token, found.key)
      ? toVerified(payload, found.state, clockToleranceMs)
      : null
  } catch (error) {
    if (isImpersonationError(error)) throw error
    return null
  }
}

/**
 * OpenSSL takes an RSA-PSS signature without its leading zeros too (RFC 8017, section 8.1.2, does not): that
 * would be a second spelling of the token.
 */
function isWhole(token: string, key: FoundKey['key']): boolean {
  const { modulusLength } = (
    'algorithm' in key ? key.algorithm : 'asymmetricKeyDetails' in key && key.asymmetricKeyDetails
  ) as { modulusLength?: number }
  const signature = token.slice(token.lastIndexOf('.') + 1)
  return (
    modulusLength === undefined ||
    Buffer.byteLength(signature, 'base64url') === Math.ceil(modulusLength / 8)
  )
}

/** Before any key is asked for. `jwk`, `jku`, `x5c` and `x5u` are never looked at. */
function checkHeader(header: JWSHeaderParameters, settings: Settings): void {
  const { typ, crit, b64 } = header as Record<string, unknown>
  if (crit !== undefined || b64 !== undefined) throw new Error('no extension is understood')
  if (typ !== undefined && typeof typ !== 'string') throw new Error('typ must be text')
  const type = typ === undefined ? undefined : shortType(typ)
  if (!settings.types.includes(type)) throw new Error('a token of another type')
}

function toVerified(payload: JWTPayload, state: KeyState, toleranceMs: number): Verified {
  const { sub, exp, nbf } = payload
  if (typeof sub !== 'string' || sub === '') throw new Error('sub must be text')
  if (!Number.isFinite(exp) || !Number.isFinite(nbf ?? 0)) throw new Error('not an instant')
  return {
    payload: deepFreeze(payload) as VerifiedClaims,
    from: nbf === undefined ? Number.NEGATIVE_INFINITY : nbf * 1000 - toleranceMs,
    until: (exp as number) * 1000 + toleranceMs,
    state,
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const member of Object.values(value)) deepFreeze(member)
  }
  return value
}
