import { vi } from 'vitest'
import {
  createImpersonation,
  type Guardrail,
  type ImpersonationEngine,
  type ImpersonationOptions,
  memoryStore,
  type PeekedBody,
  type RequestView,
  type Session,
  type StartRequest,
  type Store,
} from '../../src/index.ts'

/** A user of the host, with everything that `describe` reads and the rights that `can` asks for. */
export interface User {
  readonly id: string
  readonly email?: string
  readonly name?: string
  readonly orgId?: string | null
  readonly role?: string
  readonly active?: boolean | number | null
  readonly may?: readonly string[]
}

export const noon = Date.UTC(2030, 5, 1, 12)
export const second = 1000
export const minute = 60_000
export const hour = 60 * minute
export const day = 24 * hour

/** `root` and `boss` may do everything, `sup` may start only; the others nothing. */
export function everybody(): Map<string, User> {
  const all = ['start', 'list', 'revoke']
  const users: User[] = [
    { id: 'root', may: all, name: 'Rooty', role: 'admin' },
    { id: 'boss', may: all },
    { id: 'sup', may: ['start'] },
    { id: 'alice', email: 'alice@example.com', name: 'Alice', role: 'customer' },
    { id: 'bob' },
    { id: 'carol' },
    { id: 'mallory' },
  ]
  return new Map(users.map((user) => [user.id, user]))
}

/** The wall clock, and the steady one that nobody can set. */
export interface TestClock {
  wall: number
  steady: number
  /** Both go on. */
  tick(ms: number): void
}

export interface Ask {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  /** Adds the pin header. */
  readonly pin?: string | undefined
  /** Adds the hint cookie. */
  readonly cookie?: string | undefined
  readonly twoLogins?: boolean
  readonly mount?: string
  readonly route?: string
  /** The guardrail that the matched route is marked with. */
  readonly marked?: Guardrail
  /** What `peekBody` gives; a function may take its time. */
  readonly peeked?: PeekedBody | (() => Promise<PeekedBody | undefined>)
  readonly secure?: boolean
}

/** What a handler saw, or what was answered in its place. */
export interface Outcome {
  /** Who stood in the user slot of the handler; null when no handler ran. */
  readonly ran: string | null
  readonly user: User | null | undefined
  readonly context: ReturnType<ImpersonationEngine<User>['current']> | undefined
  readonly status: number
  readonly code: string | undefined
  readonly body: unknown
  readonly answer: Response | null
  readonly headers: Readonly<Record<string, string>>
  readonly setCookie: string | null
  /** In one line: who ran, or the refusal. */
  readonly line: string
}

export interface Req {
  readonly method: string
  readonly target: string
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: unknown
  readonly twoLogins: boolean
  readonly route: string | undefined
  readonly marked: Guardrail | undefined
  readonly peeked: Ask['peeked']
  readonly secure: boolean
}

/** A framework of nothing but objects. */
export const view: RequestView<Req> = {
  method: (request) => request.method,
  target: (request) => request.target,
  path: (request) => request.path,
  header: (request, name) => request.headers[name],
  hasTwoLogins: (request) => request.twoLogins,
  removeHeader: (request, name) => {
    delete request.headers[name]
  },
  routes: ({ route }) => (route === undefined ? [] : [route]),
  route: ({ route }) => route,
  marked: (request) => request.marked,
  peekBody: async ({ peeked }) => (typeof peeked === 'function' ? peeked() : peeked),
  isSecure: (request) => request.secure,
  ip: () => '192.0.2.1',
  toRequest: (request) =>
    new Request(`http://app.example.com${request.target}`, {
      method: request.method,
      headers: request.headers,
      ...(request.body !== undefined && { body: JSON.stringify(request.body) }),
    }),
}

export function requestOf(ask: Ask = {}): Req {
  const { method = 'GET', path = '/notes', body, pin, cookie, mount = '', route } = ask
  const headers: Record<string, string> = { 'sec-fetch-site': 'same-origin' }
  if (body !== undefined) headers['content-type'] = 'application/json'
  if (pin !== undefined) headers['x-impersonation-session'] = pin
  if (cookie !== undefined) headers.cookie = `theme=dark; onbehalf=${cookie}`
  for (const [name, value] of Object.entries(ask.headers ?? {})) headers[name.toLowerCase()] = value
  const target = `${mount}${path}`
  return {
    method,
    target,
    path: path.split(/[?#]/, 1)[0] ?? '',
    headers,
    body,
    twoLogins: ask.twoLogins ?? false,
    route,
    marked: ask.marked,
    peeked: ask.peeked,
    secure: ask.secure ?? false,
  }
}

export type Engine = ImpersonationEngine<User>

export interface World {
  readonly clock: TestClock
  readonly users: Map<string, User>
  readonly store: Store
  /** The first engine. */
  readonly engine: Engine
  /** Another process on the same store. */
  another(more?: Partial<ImpersonationOptions<User>>): Engine
  change(id: string, changes: Partial<User>): void
  send(who: string | User | null, ask?: Ask, on?: Engine): Promise<Outcome>
  start(who: string, target: string, more?: Partial<StartRequest>, on?: Engine): Promise<Session>
  caller(who: string | User, on?: Engine): ReturnType<Engine['caller']>
  actions(sessionId?: string): Promise<string[]>
  active(): Promise<Session[]>
}

let steady = { at: 0 }

/** A host with users, a store and a clock that moves only when told. */
export function worldOf(
  options: Partial<ImpersonationOptions<User>> = {},
  store: Store = options.store ?? memoryStore(),
): World {
  const clock = clockOf()
  const users = everybody()
  const make = (more: Partial<ImpersonationOptions<User>> = {}): Engine =>
    createImpersonation<User>({
      findUser: (id) => users.get(id) ?? null,
      can: (user, action) => user.may?.includes(action) ?? false,
      now: () => clock.wall,
      rateLimit: false,
      ...options,
      ...more,
      store: more.store ?? store,
    })
  const engine = make()
  const userOf = (who: string | User) => {
    const user = typeof who === 'string' ? users.get(who) : who
    if (!user) throw new Error(`there is no ${String(who)} in this world`)
    return user
  }
  return {
    clock,
    users,
    store,
    engine,
    another: make,
    change(id, changes) {
      users.set(id, { ...userOf(id), ...changes })
    },
    send: (who, ask, on = engine) => send(on, who === null ? null : userOf(who), ask),
    async start(who, target, more, on = engine) {
      const caller = on.caller(userOf(who))
      const ask = { targetUserId: target, reason: 'ticket 7', ...more }
      return (await on.sessions.start(caller, ask)).session
    },
    caller: (who, on = engine) => on.caller(userOf(who)),
    async actions(sessionId) {
      const events = await store.listEvents(sessionId === undefined ? {} : { sessionId }, {
        limit: 100_000,
      })
      return events.map((event) => event.action.replace('impersonation.', '')).sort()
    },
    active: () => store.listSessions({ status: 'active' }, { limit: 100_000 }),
  }
}

/** Time for one world; the steady clock of the process follows it too. */
function clockOf(): TestClock {
  steady = { at: 1000 }
  const mine = steady
  vi.spyOn(performance, 'now').mockImplementation(() => steady.at)
  return {
    wall: noon,
    get steady() {
      return mine.at
    },
    set steady(at) {
      mine.at = at
    },
    tick(ms) {
      this.wall += ms
      mine.at += ms
    },
  }
}

const adapters = new WeakMap<Engine, ReturnType<Engine['adapter']>>()

export function adapterOf(engine: Engine) {
  let adapter = adapters.get(engine)
  if (!adapter) {
    adapter = engine.adapter(view) as ReturnType<Engine['adapter']>
    adapters.set(engine, adapter)
  }
  return adapter
}

/** A request on its whole way, with a handler that tells what it saw. */
export async function send(engine: Engine, actor: User | null, ask: Ask = {}): Promise<Outcome> {
  const adapter = adapterOf(engine)
  const request = requestOf(ask)
  const { answer, context, user, headers, trace } = await adapter.enter(request, actor)
  const plan = Object.fromEntries((headers?.set ?? []).map(([name, value]) => [name, value]))
  if (answer) {
    const text = await answer.clone().text()
    const body = answer.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text
    const code = body?.code as string | undefined
    return {
      ran: null,
      user: undefined,
      context: undefined,
      status: answer.status,
      code,
      body,
      answer,
      headers: plan,
      setCookie: answer.headers.get('set-cookie') ?? headers?.cookie ?? null,
      line: code === undefined ? String(answer.status) : `${answer.status} ${code}`,
    }
  }
  const slot = user ?? actor
  return adapter.run(context, () => {
    const ran = (slot as User | null)?.id ?? 'nobody'
    const ended = plan['X-Impersonation-Ended']
    trace?.(200)
    return {
      ran,
      user: slot as User | null,
      context: engine.tryCurrent(),
      status: 200,
      code: undefined,
      body: undefined,
      answer: null,
      headers: plan,
      setCookie: headers?.cookie ?? null,
      line: ended === undefined ? ran : `${ran}, told ${ended}`,
    }
  })
}

/** Numbers that look random and come again with the same seed. */
export function random(seed: number): {
  below(limit: number): number
  pick<T>(choices: readonly T[]): T
} {
  let state = seed
  function next(): number {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    below: (limit) => Math.floor(next() * limit),
    pick: <T>(choices: readonly T[]) => choices[Math.floor(next() * choices.length)] as T,
  }
}

/** The code of the refusal that a promise rejects with; `'done'` when it does not reject. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'done'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}
