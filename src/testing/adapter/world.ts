import assert from 'node:assert/strict'
import { createImpersonation, type ImpersonationEngine } from '../../impersonation.ts'
import type { ImpersonationOptions } from '../../options.ts'
import { memoryStore } from '../../stores/memory.ts'
import type { Action } from '../../types.ts'
import { type FaultyStore, faultyStore } from '../faulty-store.ts'
import type {
  AdapterTestsOptions,
  Mount,
  TestApp,
  TestCall,
  TestHandler,
  TestLayer,
  TestRoute,
  TestUser,
} from './app.ts'
import { type Ask, type Client, createClient, type Reply } from './client.ts'

/** When the tests take place: the clock is injected, and no test waits. */
export const t0 = Date.UTC(2030, 0, 1)
export const minute = 60_000
export const iso = (at: number) => new Date(at).toISOString()

const everything: readonly Action[] = ['start', 'list', 'revoke']
/** An id that is neither Latin-1 nor fit for a header. */
export const oddId = 'usér✓ \n'

export function makeUsers(): Map<string, TestUser> {
  const user = (id: string, changes: Partial<TestUser> = {}): TestUser => ({
    id,
    name: `The ${id}`,
    email: `${encodeURIComponent(id)}@example.com`,
    orgId: 'acme',
    role: 'member',
    active: true,
    isSuperuser: false,
    rights: [],
    ...changes,
  })
  const admin = { orgId: 'hq', role: 'admin', isSuperuser: true, rights: everything }
  const users = [
    user('root', admin),
    user('boss', admin),
    user('sup', { orgId: 'hq', role: 'support', rights: ['start'] }),
    user('alice'),
    user('bob', { orgId: null, role: null, email: null }),
    user('mallory'),
    user('ivan', { active: false }),
    user(oddId),
  ]
  return new Map(users.map((one) => [one.id, one]))
}

export interface WorldOptions {
  readonly engine?: Partial<ImpersonationOptions<TestUser>>
  readonly mountPath?: string
  /** What runs ahead of the routes. @default the login, then the adapter */
  readonly layers?: (standard: { login: TestLayer; ours: TestLayer }) => readonly TestLayer[]
  /** Routes beside the usual ones, which know the world they are in. */
  readonly routes?: (world: World) => readonly TestRoute[]
  readonly onError?: (world: World) => NonNullable<TestApp['onError']>
  readonly notFound?: (world: World) => TestHandler
  readonly users?: Map<string, TestUser>
}

/** An app with users, a store that can fail, and a clock that stands still. */
export interface World extends Omit<Client, 'close'> {
  close(): Promise<void>
  readonly engine: ImpersonationEngine<TestUser>
  readonly store: FaultyStore
  readonly users: Map<string, TestUser>
  readonly clock: { now: number }
  /** Who wrote, as the handlers took it from the user slot. */
  readonly written: string[]
  /** Sends to a route of ours. */
  call(method: string, path: string, ask?: Ask): Promise<Reply>
  /** Starts a session that nothing should stand in the way of; gives its id. */
  start(target?: string, body?: Readonly<Record<string, unknown>>, ask?: Ask): Promise<string>
  /** Who the app thinks is asking. */
  whoami(ask?: Ask): Promise<string>
}

export type Setup = (options?: WorldOptions) => Promise<World>
/** Names a rule and proves it on worlds of its own. */
export type Rule = (name: string, prove: (setup: Setup) => Promise<void>) => void

export const reason = 'ticket 4711'

export async function createWorld(mount: Mount, options: WorldOptions = {}): Promise<World> {
  const users = options.users ?? makeUsers()
  const clock = { now: t0 }
  const store = faultyStore(memoryStore())
  const engine = createImpersonation<TestUser>({
    store,
    findUser: (id, scope) => inOrg(users.get(id), scope?.orgId),
    can: (user, action) => user.rights.includes(action),
    now: () => clock.now,
    ...options.engine,
  })
  const login: TestLayer = { kind: 'user', find: (call) => loggedIn(users, call) }
  const ours: TestLayer = { kind: 'impersonation' }
  const written: string[] = []
  const mountPath = options.mountPath ?? ''
  let client: Client
  const world: World = {
    engine,
    store,
    users,
    clock,
    written,
    send: (...args) => client.send(...args),
    raw: (...args) => client.raw(...args),
    call: (method, path, ask) => client.send(method, `/impersonation${path}`, ask),
    async start(target = 'alice', body = {}, ask = {}) {
      const reply = await world.call('POST', '/start', {
        ...ask,
        json: { target_user_id: target, reason, ...body },
      })
      assert.equal(reply.status, 201, `nothing stood in the way of this start: ${reply.text}`)
      return reply.json.session_id
    },
    async whoami(ask) {
      const reply = await client.send('GET', '/me', ask)
      assert.equal(reply.status, 200, reply.text)
      return reply.json.user?.id ?? 'nobody'
    },
    close: async () => client.close(),
  }
  const mounted = await mount({
    engine,
    mountPath,
    layers: options.layers?.({ login, ours }) ?? [login, ours],
    routes: [...usualRoutes(world), ...(options.routes?.(world) ?? [])],
    onError: options.onError?.(world),
    notFound: options.notFound?.(world),
  })
  client = createClient(mounted)
  world.close = async () => {
    store.release()
    client.close()
    await mounted.close()
    await engine.close()
  }
  return world
}

/** Runs a proof with worlds that end with it. */
export async function inWorlds(
  mount: Mount,
  prove: (setup: Setup) => Promise<void>,
): Promise<void> {
  const worlds: World[] = []
  try {
    await prove(async (options) => {
      const world = await createWorld(mount, options)
      worlds.push(world)
      return world
    })
  } finally {
    for (const world of worlds) await world.close()
  }
}

function inOrg(user: TestUser | undefined, orgId: string | undefined): TestUser | undefined {
  if (orgId === undefined || !user) return user
  return orgId === user.orgId || orgId === 'second' ? { ...user, orgId } : undefined
}

/** The login of the app: a bearer token or a cookie that is simply the user's id. A new record each time. */
export function loggedIn(users: Map<string, TestUser>, call: TestCall): TestUser | undefined {
  const bearer = /^Bearer ([^,]+)/.exec(call.header('authorization') ?? '')?.[1]
  const cookie = /(?:^|; )login=([^;]+)/.exec(call.header('cookie') ?? '')?.[1]
  const user = users.get(decodeURIComponent(bearer ?? cookie ?? ''))
  return user && { ...user }
}

/** What a handler can learn of who is asking, from everywhere it could look. */
export function seen({ engine }: Pick<World, 'engine'>, { user, impersonation }: TestCall) {
  const context = engine.tryCurrent()
  const onRequest = impersonation as ReturnType<typeof engine.tryCurrent>
  return {
    user: (user as TestUser | null | undefined) ?? null,
    context: context === undefined ? 'outside' : (context?.target.id ?? null),
    request: onRequest === undefined ? 'outside' : (onRequest?.target.id ?? null),
    actor: context?.actor.id ?? null,
    session: context?.session.id ?? null,
  }
}

export const answerJson = (body: unknown, status = 200) => ({
  status,
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(body),
})

function usualRoutes(world: World): readonly TestRoute[] {
  const write: TestHandler = (call) => {
    const { user } = seen(world, call)
    world.written.push(user?.id ?? 'nobody')
    return answerJson({ by: user?.id ?? null })
  }
  return [
    { method: 'GET', path: '/me', handle: (call) => answerJson(seen(world, call)) },
    { method: 'POST', path: '/notes', handle: write },
    { method: 'PUT', path: '/notes', handle: write },
    { method: 'PATCH', path: '/notes', handle: write },
    { method: 'DELETE', path: '/notes', handle: write },
    { method: 'POST', path: '/account/password', handle: write },
  ]
}

/** A refusal, checked as a whole: status, code, media type, never stored by a cache. */
export function refusedWith(reply: Reply, status: number, code: string): Reply {
  assert.equal(reply.status, status, `${code} is a ${status}: ${reply.text}`)
  assert.match(reply.headers['content-type'] ?? '', /^application\/problem\+json/)
  assert.equal(reply.headers['cache-control'], 'no-store, private')
  const { type, title, status: inside, code: told } = reply.json
  assert.equal(told, code)
  assert.deepEqual([type, inside, typeof title], ['about:blank', status, 'string'])
  if (status === 401) assert.match(reply.headers['www-authenticate'] ?? '', /^Bearer realm=/)
  return reply
}

/** The offending places that a 400 names. */
export const pathsOf = (reply: Reply): string[] =>
  (reply.json.errors as { path: string }[]).map(({ path }) => path)

export type RuleGroup = (rule: Rule, options: Required<AdapterTestsOptions>) => void
