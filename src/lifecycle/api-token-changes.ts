import { hashOf, makeApiToken, shownOf } from '../api-tokens/format.ts'
import { type RequestMeta, tokenEvent } from '../audit/events.ts'
import type { Recorder } from '../audit/recorder.ts'
import { ImpersonationError } from '../errors.ts'
import { isOver } from '../pipeline/by-api-token.ts'
import type { TokenChange, TokenSection } from '../stores/tokens.ts'
import type { ApiToken, AuditEvent, UserProfile } from '../types.ts'

/** A token that has just been made: `secret` is what its holder presents, here and nowhere else. */
export interface IssuedApiToken {
  readonly token: ApiToken
  readonly secret: string
}

/** Who changes something, for the record. */
export interface Changer {
  readonly profile: UserProfile
  readonly meta: RequestMeta
}

/** What may become of tokens, each with its event in one unit. Whoever asks has been checked. */
export interface TokenChanges {
  issue(by: Changer, token: NewToken): Promise<IssuedApiToken>
  /** @throws {ImpersonationError} token_not_active: revoked, expired or rotated, perhaps by somebody else just now */
  rotate(by: Changer, old: ApiToken, next: NewToken, overlapMs: number): Promise<IssuedApiToken>
  /** Takes a token back, and what it was rotated into. Idempotent. Gives it as it is now. */
  revoke(by: Changer, tokenId: string): Promise<ApiToken>
}

/** What is settled about a token before it is made. */
export interface NewToken
  extends Pick<ApiToken, 'userId' | 'userOrgId' | 'name' | 'scopes' | 'issuedBy'> {
  /** In ms. */
  readonly durationMs: number
}

interface Parts {
  readonly prefix: string
  readonly tokens: TokenSection
  readonly recorder: Recorder
  readonly now: () => number
  /** Told after each change, also a failed one, so that no cache answers with what was. */
  readonly changed: (userId: string) => void
}

/** Whoever else changes it meanwhile is few; more rounds than that and something is wrong. */
const rounds = 10

export function createTokenChanges(parts: Parts): TokenChanges {
  const { prefix, tokens, recorder, now, changed } = parts

  function make({ durationMs, ...rest }: NewToken, at: number): IssuedApiToken {
    const secret = makeApiToken(prefix)
    const token: ApiToken = {
      id: crypto.randomUUID(),
      ...rest,
      prefix: shownOf(secret, prefix),
      createdAt: at,
      expiresAt: at + durationMs,
      lastUsedAt: null,
      revokedAt: null,
      revokedBy: null,
      replacedBy: null,
      revision: 1,
    }
    return { token: Object.freeze(token), secret }
  }

  /** Stores a new token, and gives whether it was. Where the answer was lost the row tells, or nobody would have the secret. */
  async function isStored(
    { token, secret }: IssuedApiToken,
    event: AuditEvent,
    replaces: TokenChange | null,
  ): Promise<boolean> {
    try {
      return (await tokens.createToken(token, hashOf(secret), [event], replaces)) === 'created'
    } catch (error) {
      if (await tokens.readToken(token.id).catch(() => null)) return true
      throw error
    }
  }

  async function swapped(change: TokenChange, { profile, meta }: Changer): Promise<boolean> {
    const { after } = change
    const event = tokenEvent('token.revoked', after, profile, after.revokedAt ?? now(), meta)
    try {
      return await tokens.changeToken(change, [event]).catch(async () => {
        // Revoking always works: take it back without the event, and owe the event.
        const bare = await tokens.changeToken(change, [])
        if (bare) recorder.owe(event)
        return bare
      })
    } finally {
      changed(after.userId)
    }
  }

  /**
   * Null where there is none any more.
   * @param isDone whether one is left as it is
   */
  async function revokeOne(
    by: Changer,
    tokenId: string,
    isDone = ({ revokedAt }: ApiToken) => revokedAt !== null,
  ): Promise<ApiToken | null> {
    for (let round = 0; round < rounds; round++) {
      const token = await tokens.readToken(tokenId)
      if (!token || isDone(token)) return token
      const { revision } = token
      const revokedBy = by.profile.id
      const after = { ...token, revokedAt: now(), revokedBy, revision: revision + 1 }
      if (await swapped({ from: revision, after }, by)) return after
    }
    throw new ImpersonationError('impersonation_unavailable')
  }

  return {
    async issue({ profile, meta }, asked) {
      const at = now()
      const made = make(asked, at)
      const event = tokenEvent('token.issued', made.token, profile, at, meta)
      await isStored(made, event, null)
      return made
    },

    async rotate({ profile, meta }, old, next, overlapMs) {
      const at = now()
      if (isOver(old, at) || old.replacedBy !== null)
        throw new ImpersonationError('token_not_active')
      const made = make(next, at)
      const after = {
        ...old,
        expiresAt: Math.min(old.expiresAt, at + overlapMs),
        replacedBy: made.token.id,
        revision: old.revision + 1,
      }
      const event = tokenEvent('token.rotated', made.token, profile, at, meta, {
        replaces: old.id,
        replaced_until: after.expiresAt,
      })
      const change = { from: old.revision, after }
      try {
        if (await isStored(made, event, change)) return made
        throw new ImpersonationError('token_not_active')
      } finally {
        changed(old.userId)
      }
    },

    async revoke(by, tokenId) {
      const revoked = await revokeOne(by, tokenId)
      if (!revoked) throw new ImpersonationError('token_not_found')
      // What it was rotated into would go on for whoever has it; of a long line most are over by themselves.
      const isDone = (token: ApiToken) => isOver(token, now())
      for (let next = revoked.replacedBy; next !== null; )
        next = (await revokeOne(by, next, isDone))?.replacedBy ?? null
      return revoked
    },
  }
}
