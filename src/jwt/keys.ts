import type { KeyObject } from 'node:crypto'
import type { CryptoKey, JSONWebKeySet, JWSHeaderParameters } from 'jose'
import { ImpersonationError } from '../errors.ts'

/** One state of the keys. A token verified under one is not taken for verified under the next. */
export interface KeyState {
  /** From when on the keys have to be asked for again, in ms since the epoch. */
  readonly until: number
}

export interface FoundKey {
  readonly key: CryptoKey | KeyObject | Uint8Array
  readonly state: KeyState
}

export interface KeySource {
  /** The state that holds now; undefined before the first. */
  state(): KeyState | undefined
  /** Rejects with `impersonation_unavailable` when the keys can't be had, else because the token names none. */
  find(header: JWSHeaderParameters): Promise<FoundKey>
}

/** After a failed request for the keys, none goes out for this long: what `Retry-After` says. */
const retryAfterMs = 1_000

/** An unknown `kid` asks for the keys again, not more often than this. */
const cooldownMs = 30_000

export function fixedKey(key: FoundKey['key']): KeySource {
  const found = { key, state: { until: Number.POSITIVE_INFINITY } }
  return { state: () => found.state, find: async () => found }
}

export function fixedKeySet(jwks: JSONWebKeySet): KeySource {
  const state = { until: Number.POSITIVE_INFINITY }
  let keySet: ((header: JWSHeaderParameters) => Promise<CryptoKey>) | undefined
  return {
    state: () => state,
    async find(header) {
      const { createLocalJWKSet } = await part(import('jose/jwks/local'))
      keySet ??= createLocalJWKSet(jwks)
      return { key: await keySet(header), state }
    },
  }
}

/**
 * jose makes the request, once for any number of callers, and picks the key; when to ask again is
 * decided here, by the clock of the options, because jose has its own and would ask on each failure.
 */
export function remoteKeySet(url: URL, maxAgeMs: number, now: () => number): KeySource {
  type Remote = ReturnType<typeof import('jose/jwks/remote')['createRemoteJWKSet']>
  let remote: Remote | undefined
  let state: KeyState | undefined
  let askedAt = Number.NEGATIVE_INFINITY
  let failure: { readonly at: number; readonly cause: unknown } | undefined
  let asking: Promise<void> | undefined

  async function load(): Promise<Remote> {
    const { createRemoteJWKSet } = await part(import('jose/jwks/remote'))
    const never = Number.POSITIVE_INFINITY
    remote ??= createRemoteJWKSet(url, { cacheMaxAge: never, cooldownDuration: never })
    return remote
  }

  async function ask(keySet: Remote): Promise<void> {
    if (failure && isWithin(retryAfterMs, failure.at, now())) throw unavailable(failure.cause)
    const at = now()
    try {
      await keySet.reload()
    } catch (cause) {
      failure = { at: now(), cause }
      throw unavailable(cause)
    }
    askedAt = at
    state = Object.freeze({ until: at + maxAgeMs })
  }

  function askOnce(keySet: Remote): Promise<void> {
    asking ??= ask(keySet).finally(() => {
      asking = undefined
    })
    return asking
  }

  return {
    state: () => state,
    async find(header) {
      const keySet = remote ?? (await load())
      if (!isWithin(maxAgeMs, askedAt, now())) await askOnce(keySet)
      const before = state as KeyState
      try {
        return { key: await keySet(header), state: before }
      } catch (error) {
        if ((error as { code?: unknown }).code !== 'ERR_JWKS_NO_MATCHING_KEY') throw error
        if (state === before) {
          if (isWithin(cooldownMs, askedAt, now())) throw error
          await askOnce(keySet)
        }
        const after = state as KeyState
        return { key: await keySet(header), state: after }
      }
    },
  }
}

/** A part of jose that can't be loaded says nothing of the token either. */
async function part<T>(loading: Promise<T>): Promise<T> {
  try {
    return await loading
  } catch (cause) {
    throw unavailable(cause)
  }
}

/** False also where the clock went back. */
function isWithin(ms: number, since: number, now: number): boolean {
  return now >= since && now - since < ms
}

function unavailable(cause: unknown): ImpersonationError {
  return new ImpersonationError('impersonation_unavailable', {
    message:
      'The login cannot be checked at the moment: the keys for it cannot be had. Try again soon.',
    cause,
  })
}
