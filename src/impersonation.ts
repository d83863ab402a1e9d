import { presentedApiToken } from './api-tokens/presented.ts'
import { noMeta } from './audit/events.ts'
import { createRecorder } from './audit/recorder.ts'
import { createClock } from './clock.ts'
import { type Adapter, createAdapter } from './entrance.ts'
import type { RouteCall } from './http/router.ts'
import type { ApiTokens } from './lifecycle/api-tokens.ts'
import type { Approvals } from './lifecycle/approvals.ts'
import type { Audit } from './lifecycle/audit.ts'
import type { BreakGlass } from './lifecycle/break-glass.ts'
import { type Carry, createCarry } from './lifecycle/carry.ts'
import { endFor } from './lifecycle/end-for.ts'
import { createEndings } from './lifecycle/ending.ts'
import { createGrantExpiry } from './lifecycle/grant-expiry.ts'
import type { Grants } from './lifecycle/grants.ts'
import type { HistoryEntry } from './lifecycle/history.ts'
import { createJudge } from './lifecycle/judge.ts'
import {
  apiTokenVerbs,
  approvalVerbs,
  auditVerbs,
  breakGlassVerbs,
  grantVerbs,
  later,
  sessionVerbs,
  testSessionVerbs,
} from './lifecycle/later.ts'
import { createReaper } from './lifecycle/reaper.ts'
import { createRequestExpiry } from './lifecycle/request-expiry.ts'
import type { Sessions } from './lifecycle/sessions.ts'
import { createSignals } from './lifecycle/signals.ts'
import type { Caller } from './lifecycle/start.ts'
import type { TestSessions } from './lifecycle/test-sessions.ts'
import type { Verbs } from './lifecycle/verbs.ts'
import { createPost, type Outbox } from './notify/post.ts'
import type { ImpersonationOptions } from './options.ts'
import { createPeople } from './people.ts'
import { createApiTokenDoor } from './pipeline/api-token-door.ts'
import { type Context, createContext } from './pipeline/context.ts'
import type { RequestView } from './pipeline/identify.ts'
import { type KnownRoute, unusedPatterns, warnOfUnused } from './pipeline/known-routes.ts'
import { createLives } from './pipeline/live.ts'
import { createResolve } from './pipeline/resolve.ts'
import { createScopeWall, type ScopeWall } from './pipeline/scopes.ts'
import { createTokenDoor } from './pipeline/token-door.ts'
import { createTracing } from './pipeline/tracing.ts'
import { createBlock, createWalls, type Walls } from './pipeline/walls.ts'
import { createWho, type Who } from './pipeline/who.ts'
import { readOptions } from './settings.ts'
import { deferred } from './stores/deferred.ts'
import { flushed } from './stores/flushed.ts'
import { type GuardedStore, guardStore } from './stores/guarded.ts'
import { observed } from './stores/observed.ts'
import type { Page } from './stores/store.ts'
import { timed } from './stores/timed.ts'
import { createWatched } from './stores/watched.ts'
import { createEmit } from './telemetry/emit.ts'
import { presentedToken } from './tokens/presented.ts'
import { warnOnce } from './warnings.ts'

/** The engine: made once, handed to an adapter, asked by handlers. */
export interface ImpersonationEngine<User extends object, Scope extends string = string>
  extends Context<User, Scope>,
    Walls,
    ScopeWall<Scope>,
    Who<User>,
    Carry {
  /** Start, stop, list, revoke … from code; each verb checks who calls, as the routes do. */
  readonly sessions: Sessions<User>
  /** Consent: ask, approve, deny, revoke … from code; each verb checks who calls, as the routes do. */
  readonly grants: Grants<User>
  /** Two admins into an account without consent: open, confirm … from code, as the routes do. */
  readonly breakGlass: BreakGlass<User>
  /** Four eyes: request, approve, deny … from code, as the routes do. */
  readonly approvals: Approvals<User>
  /** API tokens: issue, list, rotate, revoke … from code; each verb checks who calls, as the routes do. */
  readonly tokens: ApiTokens<User>
  /** Every time somebody was in the caller's account, newest first. */
  history(caller: Caller<User>, page: Page): Promise<HistoryEntry[]>
  /** Where the routes are, below the place where the middleware is mounted. */
  readonly basePath: string
  /**
   * Whether an `Authorization` header carries an impersonation or API token: then the host's own login is to
   * leave the request alone. Each counts where its option is on. Proves nothing: the middleware does.
   */
  carriesToken(authorization: string | null | undefined): boolean
  /** Somebody to call `sessions` as. @throws {TypeError} when the user can't be described */
  caller(user: User): Caller<User>
  /**
   * Says that a user's record, rights or membership has changed: their sessions, as actor and as
   * target, are judged again now rather than within seconds.
   */
  userChanged(userId: string): Promise<void>
  /** Ends what this actor has open: for the host's logout, lock and password-reset code. Gives how many. */
  endFor(actorId: string): Promise<number>
  /** Closes expired sessions and judges the others again; runs by itself every 30 s. Gives how many it looked at. */
  reap(): Promise<number>
  /** A session as somebody made for it, from code, as the route does. */
  readonly testSessions: TestSessions<User>
  /** What is on record: list and export as the routes do; verify and checkpoint for the host's own code. */
  readonly audit: Audit<User>
  /** What has to be delivered: it goes by itself; here it can be hurried, listed and tried again. */
  readonly outbox: Outbox
  /**
   * Waits until the store can be used. Await it at start-up, so that a missing table is told there.
   * @throws {Error} with the command that mends it
   */
  ready(): Promise<void>
  /**
   * Compares the route patterns of the options with the routes the app has, and warns of those that no
   * route is meant by. Fastify's adapter does it by itself; for Hono call it at start-up with `app.routes`.
   * Gives the patterns in question, as they were written.
   */
  checkRoutes(routes: Iterable<KnownRoute>): readonly string[]
  /** Ends timers, watching and what the store itself opened. */
  close(): Promise<void>
  /** The three calls that every adapter is made of; use it to write one for another framework. */
  adapter<Req>(view: RequestView<Req>): Adapter<Req, User>
}

/**
 * Makes the engine.
 *
 * @throws {TypeError} naming the option in quotes and what it wants
 * @example
 * ```ts
 * import { createImpersonation, memoryStore } from 'onbehalf'
 *
 * const users = [
 *   { id: 'root', isSuperuser: true },
 *   { id: 'alice', isSuperuser: false },
 * ]
 * export const impersonation = createImpersonation({
 *   store: memoryStore(),
 *   findUser: (id) => users.find((user) => user.id === id),
 *   can: (user) => user.isSuperuser,
 * })
 * ```
 */
export function createImpersonation<User extends object, const Scope extends string = string>(
  options: ImpersonationOptions<User, Scope>,
): ImpersonationEngine<User, Scope> {
  const settings = readOptions(options)
  const { now, revocationLagMs } = settings
  const clock = createClock(now)
  const context = createContext<User, Scope>(settings)
  // Whatever request it serves, the store's own work is nobody's: a guarded database must not refuse it.
  const nobody = <T>(work: () => T): T => context.run(null, work)
  const guarded = timed(guardStore(settings.store, settings.storeTimeoutMs, nobody))
  const people = createPeople<User>(settings)
  const post = createPost<User>({ settings, store: guarded, people, run: nobody })
  const told = observed(guarded, createEmit(settings.onEvent))
  const tracing = createTracing(settings, guarded)
  const ended = tracing ? flushed(told, tracing.flush, settings.storeTimeoutMs) : told
  const store = post.on || settings.chainKeys ? deferred(ended, withMore) : ended
  const recorder = createRecorder(store)
  const block = createBlock(recorder, now)
  const signals = createSignals(store, now, revocationLagMs)
  const lives = createLives(signals, block)
  const watched = createWatched(revocationLagMs)
  const over = (sessionId: string) => {
    signals.ended(sessionId)
    post.ended(sessionId)
  }
  const changed = (actorId: string | null) => {
    resolve.invalidate(actorId)
    door?.invalidate(actorId)
    apiDoor?.forget(actorId)
  }

  const endings = createEndings({ store, recorder, now, changed, over })
  const judge = createJudge<User>({ store, people, endings, now })
  const resolve = createResolve<User>({ settings, clock, judge, store, signals, lives, watched })
  const way = { clock, judge, store, signals, lives, watched, recorder, tracing }
  const door = createTokenDoor<User>(settings, way)
  const apiDoor = createApiTokenDoor<User>(settings, { clock, people, store, watched })
  const expiry = createGrantExpiry({ store, endings, now })
  const requestExpiry = createRequestExpiry({ store, now })
  const reaper = createReaper({ store, judge, recorder, expiry, requestExpiry })

  /** What is stored with each event, where there is anything. */
  async function withMore(): Promise<GuardedStore> {
    const { createRecorded } = await import('./recorded.ts')
    more ??= createRecorded({ settings, store: ended, wake: post.wake })
    return more
  }
  let more: GuardedStore | undefined

  // Loaded with the first call: most processes serve many requests before one, or none.
  const verbs = async () => {
    const { createVerbs } = await import('./lifecycle/verbs.ts')
    const expiries = { expiry, requestExpiry, reap: reaper.reap }
    const tokens = door?.tokens ?? null
    const news = { recorder, changed, over, tokens, apiTokens: apiDoor }
    const under = () => context.tryCurrent() ?? context.tryApiToken() ?? null
    const parts = { settings, store, people, judge, endings, under, ...news, ...expiries }
    loaded ??= createVerbs<User>(parts)
    return loaded
  }
  let loaded: Verbs<User> | undefined
  const route = async (call: RouteCall<User>) => {
    const { createRouter } = await import('./http/router.ts')
    const authenticate = apiDoor?.authenticate ?? null
    router ??= createRouter({ settings, people, recorder, authenticate, ...(await verbs()) })
    return router(call)
  }
  let router: ((call: RouteCall<User>) => Promise<Response>) | undefined

  let begun = false
  let unwatch: (() => void | Promise<void>) | undefined

  /** With the first request, not with the import: a script that only imports starts nothing. */
  function begin(): void {
    if (begun) return
    begun = true
    reaper.begin()
    post.begin()
    ready().catch((error) => {
      warnOnce('ONBEHALF_SCHEMA', error instanceof Error ? error.message : String(error))
    })
    unwatch = settings.store.watch?.({
      silenceMs: revocationLagMs,
      invalidate: changed,
      healthy(up) {
        door?.watchIs(up)
        apiDoor?.watchIs(up)
        resolve.watchIs(up)
      },
    })
  }

  async function ready(): Promise<void> {
    await settings.store.check?.()
    await (await door?.tokens())?.ready()
  }

  return Object.freeze({
    ...context,
    ...createWalls(context.current, block),
    ...createScopeWall(context.apiToken, settings.apiTokens?.scopes),
    ...createWho(context, people),
    ...createCarry({ context, store, judge, lives }),
    basePath: settings.basePath,
    carriesToken: (authorization: string | null | undefined) =>
      (door !== null && presentedToken(authorization ?? undefined) !== null) ||
      (apiDoor !== null && presentedApiToken(authorization ?? undefined, apiDoor.prefix) !== null),
    sessions: later<Sessions<User>>(sessionVerbs, async () => (await verbs()).sessions),
    grants: later<Grants<User>>(grantVerbs, async () => (await verbs()).grants),
    breakGlass: later<BreakGlass<User>>(breakGlassVerbs, async () => (await verbs()).breakGlass),
    approvals: later<Approvals<User>>(approvalVerbs, async () => (await verbs()).approvals),
    testSessions: later<TestSessions<User>>(
      testSessionVerbs,
      async () => (await verbs()).testSessions,
    ),
    audit: later<Audit<User>>(auditVerbs, async () => (await verbs()).audit),
    tokens: later<ApiTokens<User>>(apiTokenVerbs, async () => (await verbs()).apiTokens),
    history: async (caller: Caller<User>, page: Page) => (await verbs()).history(caller, page),
    caller: (user: User) => ({ user, profile: people.profile(user), meta: noMeta }),
    async userChanged(userId: string) {
      resolve.forget(userId)
      door?.forget(userId)
      apiDoor?.forget(userId)
      await reaper.review({ actorId: userId })
      await reaper.review({ targetUserId: userId })
    },
    endFor: (actorId: string) => endFor(actorId, store, endings),
    reap: reaper.reap,
    outbox: post.outbox,
    ready,
    checkRoutes(routes: Iterable<KnownRoute>) {
      const unused = unusedPatterns(settings.writtenPatterns, routes)
      warnOfUnused(unused)
      return unused.map(({ pattern }) => pattern)
    },
    async close() {
      reaper.close()
      signals.close()
      watched.close()
      // From here on nothing is handed out.
      const delivered = post.close()
      await tracing?.flush()
      await apiDoor?.flush()
      await recorder.settle().catch(() => undefined)
      await delivered
      await unwatch?.()
      await settings.store.close?.()
    },
    adapter<Req>(view: RequestView<Req>): Adapter<Req, User> {
      const parts = {
        settings,
        people,
        resolve,
        store,
        endings,
        recorder,
        tracing,
        context,
        route,
        begin,
        byToken: door?.byToken ?? null,
        apiTokens: apiDoor,
      }
      return createAdapter<Req, User>(parts, view)
    },
  })
}
