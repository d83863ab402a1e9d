import type { JWK } from 'jose'
import { ImpersonationError } from '../errors.ts'
import type { People } from '../people.ts'
import { isOf } from '../pipeline/by-token.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { Tokens } from '../tokens/tokens.ts'
import type { Session } from '../types.ts'
import type { Endings } from './ending.ts'
import type { Judge } from './judge.ts'
import { lapseError } from './lapse.ts'
import type { SessionState } from './sessions.ts'

/** Sessions that a token carries, and nothing else does. */
export interface TokenSessions {
  /** @throws {ImpersonationError} invalid_request: tokens are not switched on; impersonation_unavailable */
  ready(): Promise<void>
  /** The token of a session that has just begun: made once, kept by nobody. */
  issue(session: Session): Promise<string>
  /** The session that a token names, also once it is over. @throws {ImpersonationError} token_invalid */
  of(token: string): Promise<Session>
  /** Ends the session, or tells how it has ended. Needs nothing but the token. */
  stop(session: Session, meta: Parameters<Endings['stop']>[1]): Promise<Session>
  /** How it stands. @throws {ImpersonationError} the 401 that tells how it has ended */
  status(session: Session): Promise<SessionState>
  /** The public keys, for verifiers elsewhere (RFC 7517). */
  jwks(): Promise<{ keys: JWK[] }>
}

interface Parts<User extends object> {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly people: People<User>
  readonly judge: Judge<User>
  readonly endings: Endings
  readonly tokens: (() => Promise<Tokens>) | null
}

export function createTokenSessions<User extends object>(parts: Parts<User>): TokenSessions {
  const { settings, store, people, judge, endings } = parts

  async function tokens(): Promise<Tokens> {
    if (parts.tokens) return parts.tokens()
    const message = 'must be "session"; tokens are not switched on'
    throw new ImpersonationError('invalid_request', { errors: [{ path: 'transport', message }] })
  }

  async function found(sessionId: string): Promise<Session> {
    const session = await store.readSession(sessionId)
    if (!session) throw new ImpersonationError('token_invalid')
    return session
  }

  return {
    async ready() {
      await (await tokens()).ready()
    },
    async issue(session) {
      try {
        return await (await tokens()).sign({ ...session, sessionId: session.id })
      } catch (error) {
        // Without its token nobody could use it, or end it.
        await endings.revoke(session, { reason: 'start_failed' })
        if (!(error instanceof RangeError)) throw error
        // Too short for a token, or of ids too long for one.
        const errors = [{ path: 'transport', message: error.message }]
        throw new ImpersonationError('invalid_request', { errors })
      }
    },
    async of(token) {
      const claims = await (await tokens()).verify(token)
      const session = await found(claims.sessionId)
      if (!isOf(claims, session)) throw new ImpersonationError('token_invalid')
      return session
    },
    async stop(session, meta) {
      if (session.status !== 'active') return session
      const over = session.expiresAt <= settings.now()
      const result = await (over ? endings.expire(session) : endings.stop(session, meta))
      return result?.session ?? found(session.id)
    },
    async status(session) {
      const pair = session.status === 'active' ? await judge.review(session) : null
      if (pair) return { session, target: people.profile(pair.target) }
      throw lapseError(await found(session.id))
    },
    jwks: async () => (await tokens()).jwks(),
  }
}
