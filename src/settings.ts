import { flag, isRecord, noOthers, oneOf, positive, want, wantSection } from './checks.ts'
import { checkGroups } from './groups.ts'
import type { ImpersonationOptions } from './options.ts'
import type { WrittenPattern } from './pipeline/known-routes.ts'
import { compilePatterns } from './pipeline/patterns.ts'
import { grantVerbs, type Store, storeVerbs } from './stores/store.ts'
import { accessLevels, guardrailKinds } from './types.ts'

/** The options after the check: complete, compiled, frozen. */
export type Settings<User extends object> = ReturnType<typeof readOptions<User>>

const known = [
  'store',
  'findUser',
  'can',
  'describe',
  'basePath',
  'maxDurationMs',
  'defaultDurationMs',
  'defaultAccessLevel',
  'requireReason',
  'onConflict',
  'exclusiveTarget',
  'guardrails',
  'fullAccessRoutes',
  'keepActorRoutes',
  'classify',
  'onLapse',
  'cache',
  'revocationLagMs',
  'storeTimeoutMs',
  'freshAuth',
  'rateLimit',
  'consent',
  'grantRequestMs',
  'breakGlass',
  'approvals',
  'sandbox',
  'notifier',
  'audit',
  'impersonationTokens',
  'apiTokens',
  'displayActor',
  'allowedOrigins',
  'secureCookie',
  'context',
  'now',
] as const satisfies readonly (keyof ImpersonationOptions<object>)[]

/**
 * Checks the options once and fills in the defaults.
 * @throws {TypeError} naming the option in quotes and what it wants
 */
export function readOptions<User extends object>(options: ImpersonationOptions<User>) {
  if (!isRecord(options)) throw new TypeError('createImpersonation wants an object of options')
  noOthers('', options, known)
  const store = checkStore(options.store)
  want('findUser', typeof options.findUser === 'function', 'a function (id) => user')
  want('can', typeof options.can === 'function', 'a function (user, action, target?) => boolean')
  const { describe, classify, displayActor, now } = options
  want(
    'describe',
    describe === undefined || typeof describe === 'function',
    'a function (user) => { id, … }',
  )
  want(
    'classify',
    classify === undefined || typeof classify === 'function',
    "a function (request) => 'read', 'write', …",
  )
  want(
    'displayActor',
    displayActor === undefined || typeof displayActor === 'function',
    'a function (actor, target) => { name, … }',
  )
  want('now', now === undefined || typeof now === 'function', 'a function () => ms since the epoch')

  const maxDurationMs = positive('maxDurationMs', options.maxDurationMs, 60 * 60_000)
  const defaultDurationMs = positive(
    'defaultDurationMs',
    options.defaultDurationMs,
    Math.min(30 * 60_000, maxDurationMs),
  )
  want(
    'defaultDurationMs',
    defaultDurationMs <= maxDurationMs,
    `at most "maxDurationMs" (${maxDurationMs})`,
  )
  const revocationLagMs = positive('revocationLagMs', options.revocationLagMs, 2000)
  want('revocationLagMs', revocationLagMs <= 2000, 'at most 2000')

  return Object.freeze({
    store,
    findUser: options.findUser,
    can: options.can,
    describe,
    now: now === undefined ? Date.now : wholeMs(now),
    basePath: checkBasePath(options.basePath ?? '/impersonation'),
    maxDurationMs,
    defaultDurationMs,
    defaultAccessLevel: oneOf(
      'defaultAccessLevel',
      options.defaultAccessLevel,
      accessLevels,
      'view',
    ),
    requireReason: flag('requireReason', options.requireReason, true),
    onConflict: oneOf('onConflict', options.onConflict, ['replace', 'reject'], 'replace'),
    exclusiveTarget: flag('exclusiveTarget', options.exclusiveTarget, true),
    guardrails: checkGuardrails(options.guardrails),
    fullAccessRoutes: compilePatterns('fullAccessRoutes', options.fullAccessRoutes ?? []),
    keepActorRoutes: compilePatterns('keepActorRoutes', options.keepActorRoutes ?? [], 'exact'),
    writtenPatterns: writtenPatterns(options),
    classify,
    onLapse: oneOf('onLapse', options.onLapse, ['refuse', 'pass'], 'refuse'),
    ...checkCache(options.cache),
    revocationLagMs,
    storeTimeoutMs: positive('storeTimeoutMs', options.storeTimeoutMs, 1000),
    freshAuth: checkFreshAuth<User>(options.freshAuth),
    rateLimit: checkRateLimit(options.rateLimit),
    consent: checkConsent<User>(options.consent, store),
    grantRequestMs: positive('grantRequestMs', options.grantRequestMs, 12 * 60 * 60_000),
    ...checkGroups(options, store),
    displayActor,
    allowedOrigins: checkOrigins(options.allowedOrigins ?? []),
    secureCookie: oneOf('secureCookie', options.secureCookie, ['auto', true, false], 'auto'),
    context: oneOf('context', options.context, ['always', 'impersonating'], 'always'),
  })
}

function checkStore(store: Store): Store {
  want('store', isRecord(store), 'a store: sqliteStore, kyselyStore, memoryStore or your own')
  const missing = storeVerbs.filter((verb) => typeof store[verb] !== 'function')
  want('store', missing.length === 0, `a complete store; it lacks ${missing.join(', ')}`)
  return store
}

function checkBasePath(path: string): string {
  want(
    'basePath',
    typeof path === 'string' && /^(\/[\w~-][\w.~-]*)+$/.test(path),
    'a path such as "/impersonation", without a trailing slash, parameters or escapes',
  )
  return path
}

function checkGuardrails(guardrails: ImpersonationOptions<object>['guardrails']) {
  if (guardrails === undefined) return undefined
  want('guardrails', isRecord(guardrails), `a record of ${guardrailKinds.join(', ')}`)
  noOthers('guardrails.', guardrails, guardrailKinds)
  return guardrailKinds.map((kind) => {
    want(
      `guardrails.${kind}`,
      Array.isArray(guardrails[kind]),
      'an array of route patterns ([] when your app has no such route)',
    )
    return { kind, patterns: compilePatterns(`guardrails.${kind}`, guardrails[kind]) }
  })
}

/** The patterns as they were written, to be compared with the routes of the app. */
function writtenPatterns({
  guardrails = {} as never,
  fullAccessRoutes = [],
  keepActorRoutes = [],
}: Pick<
  ImpersonationOptions<object>,
  'guardrails' | 'fullAccessRoutes' | 'keepActorRoutes'
>): readonly WrittenPattern[] {
  const named = { ...prefixed('guardrails.', guardrails), fullAccessRoutes, keepActorRoutes }
  return Object.entries(named).flatMap(([option, patterns]) =>
    patterns.map((pattern) => ({ option, pattern })),
  )
}

const prefixed = <T>(prefix: string, record: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [prefix + name, value]))

function checkCache(cache: ImpersonationOptions<object>['cache'] = {}) {
  want('cache', isRecord(cache), 'an object { ttlMs?, max? }')
  noOthers('cache.', cache, ['ttlMs', 'max'])
  return {
    cacheTtlMs: positive('cache.ttlMs', cache.ttlMs, 30_000),
    cacheMax: positive('cache.max', cache.max, 10_000),
  }
}

function checkFreshAuth<User extends object>(freshAuth: ImpersonationOptions<User>['freshAuth']) {
  if (freshAuth === undefined) return undefined
  want('freshAuth', isRecord(freshAuth), 'an object { maxAgeMs, authTime }')
  noOthers('freshAuth.', freshAuth, ['maxAgeMs', 'authTime'])
  want('freshAuth.maxAgeMs', freshAuth.maxAgeMs !== undefined, 'a positive whole number')
  want(
    'freshAuth.authTime',
    typeof freshAuth.authTime === 'function',
    'a function (request, user) => ms since the epoch',
  )
  return {
    maxAgeMs: positive('freshAuth.maxAgeMs', freshAuth.maxAgeMs, 0),
    authTime: freshAuth.authTime,
  }
}

function checkRateLimit(limit: ImpersonationOptions<object>['rateLimit']) {
  if (limit === false) return undefined
  if (limit === undefined) return { starts: 30, perMs: 60 * 60_000 }
  want('rateLimit', isRecord(limit), 'false or an object { starts, perMs }')
  noOthers('rateLimit.', limit, ['starts', 'perMs'])
  want('rateLimit', limit.starts !== undefined && limit.perMs !== undefined, '{ starts, perMs }')
  return {
    starts: positive('rateLimit.starts', limit.starts, 0),
    perMs: positive('rateLimit.perMs', limit.perMs, 0),
  }
}

function checkConsent<User extends object>(
  consent: ImpersonationOptions<User>['consent'] = 'off',
  store: Store,
) {
  want(
    'consent',
    consent === 'off' || consent === 'required' || typeof consent === 'function',
    "'off', 'required' or a function (actor, target) => boolean",
  )
  if (consent !== 'off') wantSection('consent', store, 'grants', grantVerbs)
  return consent
}

function checkOrigins(origins: readonly string[]): ReadonlySet<string> {
  want(
    'allowedOrigins',
    Array.isArray(origins),
    "an array of origins such as 'https://admin.example.com'",
  )
  for (const origin of origins) {
    const exact =
      typeof origin === 'string' &&
      URL.canParse(origin) &&
      new URL(origin).origin === origin &&
      !origin.includes('*')
    want(
      'allowedOrigins',
      exact && origin !== 'null',
      `exact origins; ${JSON.stringify(origin)} is none (scheme, host, port; no path, no slash, no *)`,
    )
  }
  return new Set(origins)
}

/** A clock that gives fractions would end as a refusal of the database; one that gives no number would never expire anything. */
function wholeMs(now: () => number): () => number {
  return () => {
    const at = Math.floor(now())
    want('now', Number.isSafeInteger(at), 'a function that gives ms since the epoch')
    return at
  }
}
