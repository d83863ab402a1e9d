import { hashOf, isApiToken, shownOf } from '../api-tokens/format.ts'
import type { ApiTokenSettings } from '../api-tokens/option.ts'
import { createUses } from '../api-tokens/uses.ts'
import type { Clock, Instant } from '../clock.ts'
import { ImpersonationError, isImpersonationError } from '../errors.ts'
import type { People } from '../people.ts'
import type { Settings } from '../settings.ts'
import { type Cached, createCache } from '../stores/cached.ts'
import type { TokenSection } from '../stores/tokens.ts'
import type { Watched } from '../stores/watched.ts'
import type { ApiToken, ApiTokenContext } from '../types.ts'
import type { PassByToken } from './by-token.ts'
import { forgeable } from './headers.ts'
import { pinHeader, type RequestView, readPin, twoLogins } from './identify.ts'
import { type Passage, refusedBy } from './live.ts'
import { tokenContext } from './scopes.ts'

/** The way of requests that carry an API token: its owner is there, whatever else logs in. */
export interface ByApiToken<User> {
  /** @returns the way for the requests of one framework */
  passFor<Req>(view: RequestView<Req>): PassByToken<Req, User>
  /** Whose token it is. @throws {ImpersonationError} token_invalid, impersonation_unavailable */
  authenticate(token: string): Promise<ApiTokenContext<User>>
  /** Forgets every answer that concerns this owner, or all of them. */
  forget(userId: string | null): void
  /** Whether the store's messages can be relied on, from now on. */
  watchIs(healthy: boolean): void
  /** Stores which tokens were used. Never rejects. */
  flush(): Promise<void>
}

export interface ByApiTokenParts<User extends object> {
  readonly settings: Settings<User>
  readonly clock: Clock
  readonly people: People<User>
  readonly tokens: TokenSection
  readonly watched: Watched
}

/** How a token stands. Frozen; one per hash. */
interface Stands<User> {
  /** Null where there is none any more. */
  readonly token: ApiToken | null
  /** Null where it is good for nothing now: over, or its owner is. */
  readonly passage: (Passage<User> & { readonly apiToken: ApiTokenContext<User> }) | null
  readonly readAt: Instant
  readonly judgedAt: Instant
}

/** However slow the host's lookups are: no request is served by a token that was taken back longer ago. */
const longestLagMs = 2000

export function createByApiToken<User extends object>(
  parts: ByApiTokenParts<User>,
): ByApiToken<User> {
  const { settings, clock, people, tokens, watched } = parts
  const { cacheTtlMs, revocationLagMs } = settings
  const { prefix, scopes } = settings.apiTokens as ApiTokenSettings<User>
  const uses = createUses(tokens, settings.storeTimeoutMs)

  const standsFor = () => (watched.isHealthy() ? cacheTtlMs : Math.min(cacheTtlMs, revocationLagMs))

  /** Whether it has run out is seen at each use. */
  const isFresh = ({ readAt, judgedAt }: Stands<User>) =>
    !clock.olderThan(readAt, standsFor()) && !clock.olderThan(judgedAt, revocationLagMs)

  /** By hash, with how the token begins. */
  const cache: Cached<Stands<User>, string> = createCache({ max: settings.cacheMax, isFresh, load })

  async function load(hash: string, shown: string, previous: Stands<User> | undefined) {
    for (let round = 0; round < 3; round++) {
      const loaded = await loadOnce(hash, shown, round === 0 ? previous : undefined)
      if (loaded.passage === null || isRecent(loaded)) return loaded
    }
    const cause = new Error(`users are looked up more slowly than in ${longestLagMs} ms`)
    throw new ImpersonationError('impersonation_unavailable', { cause })
  }

  /** The lookups took their time, and the store may have fallen silent meanwhile. */
  const isRecent = ({ readAt, judgedAt }: Stands<User>) =>
    !clock.olderThan(judgedAt, longestLagMs) && (readAt === judgedAt || watched.isHealthy())

  async function loadOnce(
    hash: string,
    shown: string,
    previous: Stands<User> | undefined,
  ): Promise<Stands<User>> {
    const judgedAt = clock.instant()
    const vouched =
      previous?.passage && watched.isHealthy() && !clock.olderThan(previous.readAt, cacheTtlMs)
        ? previous
        : undefined
    const readAt = vouched?.readAt ?? judgedAt
    const token = vouched?.token ?? (await tokens.findToken(hash))
    // Not kept: whoever makes tokens up would push out those that are used.
    if (token === null && !previous) throw new ImpersonationError('token_invalid')
    // The store does not tell the hash; that it gave another's row can be seen by what it does tell.
    if (token !== null && token.prefix !== shown) throw anotherRow()
    const owner = token && !isOver(token, clock.now()) ? await ownerOf(token) : null
    const passage = token && owner ? passageOf(token, owner) : null
    return Object.freeze({ token, passage, readAt, judgedAt })
  }

  /** Null where nobody may be there by a token: gone, inactive, or privileged. */
  async function ownerOf({ userId, userOrgId }: ApiToken): Promise<User | null> {
    try {
      const found = await people.target(userId, userOrgId)
      return found.unfit === undefined ? found.user : null
    } catch (error) {
      if (isImpersonationError(error) || error instanceof TypeError) throw error
      throw new ImpersonationError('impersonation_unavailable', { cause: error })
    }
  }

  function passageOf({ id, name, issuedBy, expiresAt, ...token }: ApiToken, owner: User) {
    const context = { owner, id, name, scopes: token.scopes, issuedBy, expiresAt }
    return Object.freeze({
      refusal: null,
      answer: null,
      context: null,
      apiToken: tokenContext(context, scopes),
      user: owner,
      headers: null,
      trace: null,
    })
  }

  async function standing(text: string) {
    if (!isApiToken(text, prefix)) throw new ImpersonationError('token_invalid')
    const { token, passage } = await cache.get(hashOf(text), shownOf(text, prefix))
    const at = clock.now()
    // The lookups took their time: what ran out meanwhile is over.
    if (!token || !passage || isOver(token, at)) throw new ImpersonationError('token_invalid')
    uses.note(token, at)
    return passage
  }

  return {
    passFor<Req>(view: RequestView<Req>): PassByToken<Req, User> {
      async function pass(request: Req, text: string): Promise<Passage<User>> {
        const passage = await standing(text)
        const pin = view.header(request, pinHeader)
        // No session of anybody's overlays a token.
        if (pin !== undefined && readPin(pin, undefined, '')?.id !== 'none')
          throw new ImpersonationError('impersonation_state_changed')
        return passage
      }

      return async (request, text) => {
        for (const name of forgeable)
          if (view.header(request, name) !== undefined) view.removeHeader(request, name)
        try {
          return view.hasTwoLogins(request) ? refusedBy(twoLogins()) : await pass(request, text)
        } catch (error) {
          if (isImpersonationError(error)) return refusedBy(told(error))
          throw error
        }
      }
    },
    async authenticate(text) {
      try {
        return (await standing(text)).apiToken
      } catch (error) {
        throw isImpersonationError(error) ? told(error) : error
      }
    },
    forget(userId) {
      if (userId === null) return cache.invalidate(null)
      // Whose token a load under way is about to find is not known yet.
      cache.askAgain()
      for (const [hash, { token }] of [...cache.entries()])
        if (token?.userId === userId) cache.invalidate(hash)
    },
    watchIs(up) {
      // What was missed while nobody listened is not known: everything is read again.
      if (up && !watched.isHealthy()) cache.invalidate(null)
    },
    flush: uses.flush,
  }
}

export const isOver = ({ revokedAt, expiresAt }: ApiToken, at: number): boolean =>
  revokedAt !== null || expiresAt <= at

const anotherRow = () =>
  new ImpersonationError('impersonation_unavailable', {
    cause: new Error('the store gave another token than it was asked for'),
  })

/** The sentence of the table speaks of impersonation, which is not at stake here. */
function told(error: ImpersonationError): ImpersonationError {
  if (error.code !== 'impersonation_unavailable') return error
  return new ImpersonationError(error.code, {
    message:
      'It cannot be told at the moment whether this token is valid; nothing was done. Try again soon.',
    cause: error.cause,
  })
}
