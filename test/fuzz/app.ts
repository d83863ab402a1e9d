import type { Server } from 'node:http'
import {
  createImpersonation,
  type Guardrail,
  guardrailKinds,
  type ImpersonationEngine,
  memoryStore,
  type RoutePattern,
} from '../../src/index.ts'

export interface FuzzUser {
  readonly id: string
  readonly isAdmin: boolean
}

const users = [
  { id: 'root', isAdmin: true },
  { id: 'alice', isAdmin: false },
] as const satisfies FuzzUser[]

export const userOf = (authorization: string | undefined): FuzzUser | undefined =>
  users.find(({ id }) => authorization === `Bearer ${id}`)

export interface FuzzRoute {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'ALL'
  /** `:param` is one segment, `/*` at the end anything below, and the place itself. */
  readonly path: string
  /** The guard of the host's own, below the base. */
  readonly own?: `${string} /${string}`
  /** Whether the shipped catalogue guards writes to it. */
  readonly catalogued?: boolean
}

export const fuzzRoutes: readonly FuzzRoute[] = [
  {
    method: 'POST',
    path: '/account/password',
    own: 'POST /account/password',
    catalogued: true,
  },
  { method: 'DELETE', path: '/users/:id', own: 'DELETE /users/:id' },
  { method: 'ALL', path: '/billing/*', own: '* /billing/*', catalogued: true },
  {
    method: 'POST',
    path: '/teams/:team/keys/:key/rotate',
    own: 'POST /teams/:team/keys/:key/rotate',
    catalogued: true,
  },
  { method: 'POST', path: '/settings/:name' },
  { method: 'PUT', path: '/straße', own: 'PUT /Straße' },
  { method: 'PATCH', path: '/desk/kiosk', own: 'PATCH /desk/kiosk' },
  { method: 'POST', path: '/tokens', own: '* /tokens', catalogued: true },
  { method: 'GET', path: '/mfa/codes', own: 'GET /mfa/codes' },
  { method: 'POST', path: '/', own: 'POST /' },
  { method: 'POST', path: '/notes' },
  { method: 'GET', path: '/me' },
]

export interface Hit {
  readonly route: FuzzRoute
  /** The method as the handler saw it, after whatever overruled it. */
  readonly method: string
  readonly user: string | undefined
  /** What stood for `:name`, decoded by the router. */
  readonly name?: string | undefined
}

/** What an app is built of; without an engine it is the bare framework. */
export interface Parts {
  readonly engine: ImpersonationEngine<FuzzUser> | null
  hit(line: string | undefined, hit: Hit): void
}

/** A framework with some options, and how its routes are mounted. */
export interface Variant {
  readonly name: string
  /** Put before the paths that are sent. @default '' */
  readonly base?: string
  /** Put before the patterns; differs from `base` where the mount has parameters. @default base */
  readonly patternBase?: string
  /** How many different spellings of guarded paths have to reach the bare app's handlers, per thousand requests. */
  readonly reach: number
  build(parts: Parts): Server | Promise<Server>
}

/** What guards, at which level the session is, and which hits must not happen then. */
export interface Mode {
  readonly name: string
  readonly level: 'view' | 'full'
  guardrails(base: string): Readonly<Record<Guardrail, RoutePattern[]>> | undefined
  forbids(hit: Hit): boolean
}

export const noGuardrails = (): Record<Guardrail, RoutePattern[]> =>
  Object.fromEntries(guardrailKinds.map((kind) => [kind, []])) as never

const isWrite = ({ method }: Hit) => !['GET', 'HEAD', 'OPTIONS'].includes(method)

export const modes: readonly Mode[] = [
  {
    name: 'own patterns',
    level: 'full',
    guardrails: (base) => ({
      ...noGuardrails(),
      credential: fuzzRoutes.flatMap(({ own }) =>
        own
          ? [own.replace(' /', ` ${base}/`).replace(/(?<=.)\/$/, base ? '' : '/') as RoutePattern]
          : [],
      ),
      // One value of a parameter: here the route that the framework has matched says nothing.
      password: [`POST ${base}/settings/password` as RoutePattern],
    }),
    forbids: ({ route, name }) => route.own !== undefined || name === 'password',
  },
  {
    name: 'the catalogue',
    level: 'full',
    guardrails: () => undefined,
    forbids: (hit) => (hit.route.catalogued === true || hit.name === 'password') && isWrite(hit),
  },
  { name: 'view', level: 'view', guardrails: noGuardrails, forbids: isWrite },
  {
    name: 'everything',
    level: 'full',
    guardrails: () => ({ ...noGuardrails(), role_grant: ['* /*'] }),
    forbids: () => true,
  },
]

/** An engine under which root acts as alice for good: its clock stands still. */
export async function engineOf({ guardrails, level }: Mode, base: string) {
  const rules = guardrails(base)
  const now = Date.UTC(2030, 0, 1)
  const engine = createImpersonation<FuzzUser>({
    store: memoryStore(),
    findUser: (id) => users.find((user) => user.id === id),
    can: (user) => user.isAdmin,
    now: () => now,
    ...(rules && { guardrails: rules }),
  })
  await engine.sessions.start(engine.caller(users[0]), {
    targetUserId: 'alice',
    reason: 'fuzz',
    accessLevel: level,
  })
  return engine
}
