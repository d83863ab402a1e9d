import { isRecord, noOthers, positive, want, wantSection } from '../checks.ts'
import type { Store } from '../stores/store.ts'
import { tokenVerbs } from '../stores/tokens.ts'

type Awaitable<T> = T | Promise<T>

/**
 * API tokens: what they begin with, what they may be good for, how long they live.
 *
 * @example
 * ```ts
 * const apiTokens = {
 *   prefix: 'pv_live_',
 *   scopes: ['read', 'upload'],
 *   services: { is: (user) => user.kind === 'service' },
 * }
 * ```
 */
export interface ApiTokenOptions<User, Scope extends string = string> {
  /**
   * What each token begins with, such as `pv_live_`: 3 to 32 letters, digits and single `_`, a letter first and
   * a `_` last. No other credential of yours may begin so. Tokens with another prefix are no tokens any more.
   */
  readonly prefix: string
  /** Everything that a token can be good for, as scopes of RFC 6749; no `*`. A scope taken out is good for nothing. */
  readonly scopes: readonly Scope[]
  /**
   * The users whom whoever may `issue_token` chooses from: a page of those that match `query` (empty: all).
   * Those whom a token can't be issued for are left out of the answer. @default none: `GET /users` is not there
   */
  readonly listUsers?: (ask: UserQuery) => Awaitable<UserPage<User>>
  /** The longest that a token lives, in ms. @default 31_536_000_000 (365 days) */
  readonly maxDurationMs?: number
  /** How long a token lives when nobody says, in ms. @default 7_776_000_000 (90 days), or `maxDurationMs` if that is less */
  readonly defaultDurationMs?: number
  /**
   * How long a token goes on beside the one it was rotated into, in ms, when nobody says; at most 24 h.
   * @default 3_600_000 (60 min)
   */
  readonly overlapMs?: number
  /** Tells which users are no people but programs. @default nobody is */
  readonly services?: ServiceOptions<User>
}

export interface ServiceOptions<User> {
  /** Whether a user is a program. Anything but `false` is yes, a throw is yes: the shorter life. */
  readonly is: (user: User) => Awaitable<boolean>
  /**
   * The longest that a token of a service lives, and how long it does when nobody says, in ms.
   * @default 86_400_000 (24 h), or `apiTokens.maxDurationMs` if that is less
   */
  readonly maxDurationMs?: number
}

export interface UserQuery {
  /** What was typed; empty for all. At most 200 characters. */
  readonly query: string
  readonly limit: number
  /** The organisation that the caller may issue tokens in; null where they may in all. */
  readonly orgId: string | null
  /** What the page before gave as `nextCursor`; null for the first. Comes from the client: trust it no more than that. */
  readonly cursor: string | null
}

export interface UserPage<User> {
  readonly users: readonly User[]
  /** At most 1000 characters; null or left out on the last page. */
  readonly nextCursor?: string | null
}

const dayMs = 24 * 60 * 60_000

/** The longest overlap of two tokens, in ms. */
export const longestOverlapMs = dayMs

/**
 * Checks the option `apiTokens` and copies it.
 * @throws {TypeError} naming the option in quotes and what it wants
 */
export function checkApiTokens<User extends object>(
  group: ApiTokenOptions<User> | undefined,
  store: Store,
) {
  if (group === undefined) return undefined
  const name = 'apiTokens'
  want(name, isRecord(group), 'an object { prefix, scopes, … }')
  noOthers(`${name}.`, group, [
    ...['prefix', 'scopes', 'listUsers'],
    ...['maxDurationMs', 'defaultDurationMs', 'overlapMs', 'services'],
  ])
  const { prefix, listUsers } = group
  want(`${name}.prefix`, isPrefix(prefix), 'such as "pv_live_": 3 to 32 letters, digits and _')
  want(
    `${name}.listUsers`,
    listUsers === undefined || typeof listUsers === 'function',
    'a function ({ query, limit, orgId, cursor }) => { users, nextCursor }',
  )
  const maxDurationMs = positive(`${name}.maxDurationMs`, group.maxDurationMs, 365 * dayMs)
  const defaultDurationMs = positive(
    `${name}.defaultDurationMs`,
    group.defaultDurationMs,
    Math.min(90 * dayMs, maxDurationMs),
  )
  const most = `at most "maxDurationMs" (${maxDurationMs})`
  want(`${name}.defaultDurationMs`, defaultDurationMs <= maxDurationMs, most)
  const overlapMs = positive(`${name}.overlapMs`, group.overlapMs, 60 * 60_000)
  want(`${name}.overlapMs`, overlapMs <= longestOverlapMs, `at most ${longestOverlapMs}`)
  wantSection(name, store, 'tokens', tokenVerbs)
  return Object.freeze({
    prefix,
    scopes: checkScopes(`${name}.scopes`, group.scopes),
    listUsers,
    maxDurationMs,
    defaultDurationMs,
    overlapMs,
    services: checkServices<User>(`${name}.services`, group.services, maxDurationMs),
  })
}

/** The options after the check. */
export type ApiTokenSettings<User extends object> = NonNullable<
  ReturnType<typeof checkApiTokens<User>>
>

function checkScopes(option: string, scopes: readonly string[]): ReadonlySet<string> {
  const wanted =
    "an array of scopes such as 'upload': visible ASCII without blanks, quotes, \\ and *"
  want(option, Array.isArray(scopes) && scopes.length > 0 && scopes.every(isScope), wanted)
  want(option, new Set(scopes).size === scopes.length, 'without repetitions')
  return new Set(scopes)
}

function checkServices<User>(
  option: string,
  services: ServiceOptions<User> | undefined,
  longestMs: number,
) {
  if (services === undefined) return undefined
  want(option, isRecord(services), 'an object { is, maxDurationMs? }')
  noOthers(`${option}.`, services, ['is', 'maxDurationMs'])
  want(`${option}.is`, typeof services.is === 'function', 'a function (user) => boolean')
  const maxDurationMs = positive(
    `${option}.maxDurationMs`,
    services.maxDurationMs,
    Math.min(dayMs, longestMs),
  )
  const most = `at most "apiTokens.maxDurationMs" (${longestMs})`
  want(`${option}.maxDurationMs`, maxDurationMs <= longestMs, most)
  return Object.freeze({ is: services.is, maxDurationMs })
}

const isPrefix = (value: unknown) =>
  typeof value === 'string' &&
  value.length >= 3 &&
  value.length <= 32 &&
  /^[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*_$/.test(value)

/** `scope-token` of RFC 6749, and no star: it would look as if it meant all. */
export const isScope = (value: unknown): value is string =>
  typeof value === 'string' && /^[\x21\x23-\x29\x2b-\x5b\x5d-\x7e]{1,100}$/.test(value)
