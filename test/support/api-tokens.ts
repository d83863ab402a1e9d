import { vi } from 'vitest'
import { makeApiToken } from '../../src/api-tokens/format.ts'
import {
  type ApiToken,
  type ApiTokenContext,
  type ApiTokenRequest,
  memoryStore,
  type Store,
  type StoreWatcher,
} from '../../src/index.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import {
  type Ask,
  adapterOf,
  type Engine,
  requestOf,
  type User,
  type World,
  worldOf,
} from './core-world.ts'

export const prefix = 'pv_test_'
export const apiTokens = { prefix, scopes: ['read', 'upload'] }

/** One of the right form that nobody has issued. */
export const madeUp = () => makeApiToken(prefix)

export const bearer = (secret: string) => ({ Authorization: `Bearer ${secret}` })

/** A world with API tokens, where `root` may issue them. */
export function tokenedWorld(...[options, store]: Parameters<typeof worldOf>) {
  const world = worldOf({ apiTokens, ...options }, store)
  world.change('root', { may: ['start', 'list', 'revoke', 'issue_token'] })
  return {
    ...world,
    async issue(
      userId = 'alice',
      more: Partial<ApiTokenRequest> = {},
      on: Engine = world.engine,
    ): Promise<{ token: ApiToken; secret: string }> {
      const ask = { userId, name: 'nightly upload', scopes: ['read', 'upload'], ...more }
      return on.tokens.issue(world.caller('root'), ask)
    },
    revoke: (tokenId: string, on: Engine = world.engine) =>
      on.tokens.revoke(world.caller('root'), tokenId),
    /** Who the handler saw by a token, or the refusal, in one line. */
    line: async (secret: string, on: Engine = world.engine, ask: Ask = {}) =>
      (await world.send(null, { ...ask, headers: { ...bearer(secret), ...ask.headers } }, on)).line,
    /** What the handler saw of the token; null where there was no handler. */
    async context(
      secret: string,
      on: Engine = world.engine,
    ): Promise<ApiTokenContext<User> | null> {
      const request = requestOf({ headers: bearer(secret) })
      const { apiToken } = await adapterOf(on).enter(request, null)
      return apiToken && adapterOf(on).run(apiToken, () => on.apiToken())
    },
  } satisfies World & Record<string, unknown>
}

/** Something that goes on only when told. */
export function gate() {
  let open = () => {}
  let reached = () => {}
  const wait = new Promise<void>((resolve) => {
    open = resolve
  })
  /** That somebody stands before it. */
  const waiting = new Promise<void>((resolve) => {
    reached = resolve
  })
  return {
    open: () => open(),
    waiting,
    pass(): Promise<void> {
      reached()
      return wait
    },
  }
}

/** A store with a bus in the test's hands. */
export function bus(inner: Store = memoryStore()) {
  vi.spyOn(process, 'emitWarning').mockReturnValue()
  const watchers: StoreWatcher[] = []
  const store: Store = {
    ...inner,
    watch(watcher) {
      watchers.push(watcher)
      watcher.healthy(true)
      return () => {}
    },
  }
  return {
    store,
    healthy: (up: boolean) => {
      for (const watcher of watchers) watcher.healthy(up)
    },
    tell: (userId: string | null) => {
      for (const watcher of watchers) watcher.invalidate(userId)
    },
  }
}

/** A world whose store fails as it is told to. */
export function faultyWorld(options: Parameters<typeof worldOf>[0] = {}) {
  vi.spyOn(process, 'emitWarning').mockReturnValue()
  const inner = memoryStore()
  const faulty = faultyStore(inner)
  return { ...tokenedWorld({ storeTimeoutMs: 50, ...options }, faulty), faulty, inner }
}
