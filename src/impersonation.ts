import { noMeta } from './audit/events.ts'
import { createRecorder } from './audit/recorder.ts'
import { createClock } from './clock.ts'
import { clearCookie } from './http/cookie.ts'
import { renderRefusal } from './http/page.ts'
import type { RouteCall } from './http/router.ts'
import { type Carry, createCarry } from './lifecycle/carry.ts'
import { createEndings } from './lifecycle/ending.ts'
import { createGrantExpiry } from './lifecycle/grant-expiry.ts'
import { createGrants, type Grants } from './lifecycle/grants.ts'
import { createHistory, type HistoryEntry } from './lifecycle/history.ts'
import { createJudge } from './lifecycle/judge.ts'
import { createPolicy } from './lifecycle/policy.ts'
import { createReaper } from './lifecycle/reaper.ts'
import { createSessions, type Sessions } from './lifecycle/sessions.ts'
import { createSignals } from './lifecycle/signals.ts'
import { type Caller, createStart } from './lifecycle/start.ts'
import type { ImpersonationOptions } from './options.ts'
import { createPeople } from './people.ts'
import { type Context, createContext } from './pipeline/context.ts'
import type { HeaderPlan } from './pipeline/headers.ts'
import type { RequestView } from './pipeline/identify.ts'
import { type KnownRoute, unusedPatterns, warnOfUnused } from './pipeline/known-routes.ts'
import { createLives, type Passage } from './pipeline/live.ts'
import { createPassage } from './pipeline/passage.ts'
import { pathOf } from './pipeline/patterns.ts'
import { createResolve } from './pipeline/resolve.ts'
import { createBlock, createWalls, type Walls } from './pipeline/walls.ts'
import { createWho, type Who } from './pipeline/who.ts'
import { readOptions } from './settings.ts'
import { guardStore } from './stores/guarded.ts'
import type { Page } from './stores/store.ts'
import { createWatched } from './stores/watched.ts'
import type { Impersonation } from './types.ts'
import { warnOnce } from './warnings.ts'

/** The engine: made once, handed to an adapter, asked by handlers. */
export interface ImpersonationEngine<User extends object>
  extends Context<User>,
    Walls,
    Who<User>,
    Carry {
  /** Start, stop, list, revoke … from code; each verb checks who calls, as the routes do. */
  readonly sessions: Sessions<User>
  /** Consent: ask, approve, deny, revoke … from code; each verb checks who calls, as the routes do. */
  readonly grants: Grants<User>
  /** Every time somebody was in the caller's account, newest first. */
  history(caller: Caller<User>, page: Page): Promise<HistoryEntry[]>
  /** Where the routes are, below the place where the middleware is mounted. */
  readonly basePath: string
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

/** What an adapter does with a request: `enter`, then `run` the rest in it, with `headers` on the answer. */
export interface Adapter<Req, User> {
  /** Synchronous unless the actor's standing has to be read. Rejects only for faults of the wiring. */
  enter(request: Req, actor: User | null | undefined): Entrance<User> | Promise<Entrance<User>>
  /** Runs the rest of the request with its context. */
  run<T>(context: Impersonation<User> | null, rest: () => T): T
  /** Whether something that stands in the user slot now is still the target of this context. */
  isTarget(context: Impersonation<User>, user: unknown): boolean
}

export interface Entrance<User> {
  /** The answer, where the request ends here: one of our routes, or a refusal. */
  readonly answer: Response | null
  readonly context: Impersonation<User> | null
  /** The user to put into the user slot; undefined leaves the slot alone. */
  readonly user: User | undefined
  /** What the response has to carry, whatever the handler does. */
  readonly headers: HeaderPlan | null
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
export function createImpersonation<User extends object>(
  options: ImpersonationOptions<User>,
): ImpersonationEngine<User> {
  const settings = readOptions(options)
  const { now, revocationLagMs } = settings
  const clock = createClock(now)
  const context = createContext<User>(settings)
  // Whatever request it serves, the store's own work is nobody's: a guarded database must not refuse it.
  const store = guardStore(settings.store, settings.storeTimeoutMs, (ask) => context.run(null, ask))
  const people = createPeople<User>(settings)
  const recorder = createRecorder(store)
  const block = createBlock(recorder, now)
  const signals = createSignals(store, now, revocationLagMs)
  const lives = createLives(signals, block)
  const watched = createWatched(revocationLagMs)
  const over = signals.ended
  const changed = (actorId: string) => resolve.invalidate(actorId)

  const endings = createEndings({ store, recorder, now, changed, over })
  const judge = createJudge<User>({ store, people, endings, now })
  const resolve = createResolve<User>({ settings, clock, judge, store, signals, lives, watched })
  const policy = createPolicy<User>({ settings, store, people, recorder })
  const start = createStart<User>({ settings, store, judge, policy, changed, over })
  const sessions = createSessions<User>({ settings, store, people, judge, endings, changed, start })
  const expiry = createGrantExpiry({ store, endings, now })
  const grants = createGrants<User>({ settings, store, policy, expiry, changed, over })
  const history = createHistory<User>({ settings, store, people })
  const reaper = createReaper({ store, judge, recorder, expiry })

  /** Loaded with the first call of a route: most processes serve many requests before one, or none. */
  const route = async (call: RouteCall<User>) => {
    const { createRouter } = await import('./http/router.ts')
    router ??= createRouter({ settings, people, sessions, grants, history, recorder })
    return router(call)
  }
  let router: ((call: RouteCall<User>) => Promise<Response>) | undefined

  let begun = false
  let unwatch: (() => void | Promise<void>) | undefined

  /** With the first request, not with the import: a script that only imports starts nothing. */
  function begin(): void {
    begun = true
    reaper.begin()
    ready().catch((error) => {
      warnOnce('ONBEHALF_SCHEMA', error instanceof Error ? error.message : String(error))
    })
    unwatch = settings.store.watch?.({
      silenceMs: revocationLagMs,
      invalidate: resolve.invalidate,
      healthy: resolve.watchIs,
    })
  }

  async function ready(): Promise<void> {
    await settings.store.check?.()
  }

  function adapter<Req>(view: RequestView<Req>): Adapter<Req, User> {
    const pass = createPassage<Req, User>(
      { settings, people, resolve, store, endings, recorder, clearCookie },
      view,
    )

    function enter(request: Req, actor: User | null | undefined) {
      if (!begun) begin()
      const path = view.path(request)
      if (isOurs(path) && view.method(request) !== 'OPTIONS')
        return answerRoute(request, path, actor)
      const passage = pass(request, actor)
      return passage instanceof Promise
        ? passage.then((later) => entrance(request, later))
        : entrance(request, passage)
    }

    function entrance(request: Req, passage: Passage<User>): Entrance<User> {
      if (passage.refusal === null) return passage
      const answer = renderRefusal(
        passage.refusal,
        view.header(request, 'accept'),
        baseOf(request, view.path(request)),
      )
      return { answer, context: null, user: undefined, headers: passage.headers }
    }

    async function answerRoute(
      request: Req,
      path: string,
      actor: User | null | undefined,
    ): Promise<Entrance<User>> {
      const answer = await route({
        request: await view.toRequest(request),
        path,
        base: baseOf(request, path),
        actor,
        secure: view.isSecure(request),
        ip: view.ip(request),
        twoLogins: view.hasTwoLogins(request),
        native: request,
      })
      return { answer, context: null, user: undefined, headers: null }
    }

    /** The path that the middleware is mounted at, and ours below it. */
    function baseOf(request: Req, path: string): string {
      const full = pathOf(view.target(request))
      const mount = full.endsWith(path) ? full.slice(0, full.length - path.length) : ''
      return `${mount}${settings.basePath}`
    }

    return {
      enter,
      // Without a context of its own, a request made inside another one would see that one's.
      run: (now, rest) =>
        now === null && settings.context === 'impersonating' && !context.tryCurrent()
          ? rest()
          : context.run(now, rest),
      isTarget: (now, user) => isSame(people.profile, now, user),
    }
  }

  function isOurs(path: string): boolean {
    const { basePath } = settings
    return (
      path.startsWith(basePath) &&
      (path.length === basePath.length || path.charCodeAt(basePath.length) === 47)
    )
  }

  return Object.freeze({
    ...context,
    ...createWalls(context.current, block),
    ...createWho(context, people),
    ...createCarry({ context, store, judge, lives }),
    basePath: settings.basePath,
    sessions,
    grants,
    history,
    caller: (user: User) => ({ user, profile: people.profile(user), meta: noMeta }),
    async userChanged(userId: string) {
      resolve.forget(userId)
      await reaper.review({ actorId: userId })
      await reaper.review({ targetUserId: userId })
    },
    async endFor(actorId: string) {
      const { active } = await store.readStanding(actorId)
      if (!active) return 0
      const result = await endings.revoke(active, { reason: 'actor_logged_out' })
      return result?.changed ? 1 : 0
    },
    reap: reaper.reap,
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
      await unwatch?.()
      await settings.store.close?.()
    },
    adapter,
  })
}

/** A later layer may enrich the target's record; it may not put anybody else, or another organisation, in its place. */
function isSame<User>(
  profile: (user: User & object) => { id: string; orgId: string | null },
  { target, session }: Impersonation<User>,
  user: unknown,
): boolean {
  if (user === target) return true
  try {
    const { id, orgId } = profile(user as User & object)
    return id === session.targetUserId && orgId === session.targetOrgId
  } catch {
    return false
  }
}
