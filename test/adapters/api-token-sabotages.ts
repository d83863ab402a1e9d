import { ImpersonationError } from '../../src/errors.ts'
import type { Entrance, RequestView } from '../../src/index.ts'
import { lacking } from '../../src/pipeline/scopes.ts'
import type { Mount, TestAnswer, TestCall, TestRoute, TestUser } from '../../src/testing/index.ts'
import type { ApiTokenContext } from '../../src/types.ts'

/** Adapters with one fault each, and the rules that have to find it. */
export interface Sabotage {
  readonly sabotage: (mount: Mount) => Mount
  readonly rules: readonly RegExp[]
  /** Whether it takes a socket to see it. */
  readonly sockets?: true
}

type View = RequestView<unknown>
type Ours = ReturnType<Parameters<Mount>[0]['engine']['adapter']>

const ofView =
  (change: (view: View) => Partial<View>) =>
  (mount: Mount): Mount =>
  (app) => {
    const adapter = (view: View) => app.engine.adapter({ ...view, ...change(view) })
    return mount({ ...app, engine: { ...app.engine, adapter } as typeof app.engine })
  }

const ofAdapter =
  (change: (adapter: Ours, view: View) => Partial<Ours>) =>
  (mount: Mount): Mount =>
  (app) => {
    const adapter = (view: View) => {
      const made = app.engine.adapter(view)
      return { ...made, ...change(made, view) }
    }
    return mount({ ...app, engine: { ...app.engine, adapter } as typeof app.engine })
  }

/** What becomes of requests with an API token. */
const ofEntrance = (change: (entrance: Entrance<TestUser>, text: string) => Entrance<TestUser>) =>
  ofAdapter((adapter, view) => ({
    async enter(request, actor) {
      const entrance = await adapter.enter(request, actor)
      const text = view.header(request, 'authorization') ?? ''
      return text.includes('tst_live_') ? change(entrance, text) : entrance
    },
  }))

const header =
  (change: (found: string | undefined, view: View, request: unknown) => string | undefined) =>
  (view: View): Partial<View> => ({
    header: (request, name) => {
      const found = view.header(request, name)
      return name === 'authorization' ? change(found, view, request) : found
    },
  })

const ofCalls =
  (change: (call: TestCall) => Partial<TestCall>) =>
  (mount: Mount): Mount =>
  (app) => {
    const handled = ({ handle, ...route }: TestRoute): TestRoute => ({
      ...route,
      handle: (call) => handle(Object.defineProperties({ ...call }, descriptors(call, change))),
    })
    return mount({ ...app, routes: app.routes.map(handled) })
  }

const descriptors = (call: TestCall, change: (call: TestCall) => Partial<TestCall>) =>
  Object.getOwnPropertyDescriptors({ ...call, ...change(call) })

type Scopes = readonly string[]
const ofScopes =
  (change: (scopes: Scopes) => Scopes | undefined) =>
  (mount: Mount): Mount =>
  (app) =>
    mount({
      ...app,
      routes: app.routes.map((route) =>
        route.scopes ? { ...route, scopes: change(route.scopes) } : route,
      ),
    })

type Token = ApiTokenContext<unknown> | null | undefined

/** A mark of another making: `judge` gives the refusal, null lets the request pass. */
const ofMark =
  (judge: (call: TestCall, scopes: Scopes) => ImpersonationError | null) =>
  (mount: Mount): Mount =>
  (app) =>
    mount({
      ...app,
      routes: app.routes.map(({ scopes, handle, ...route }) => ({
        ...route,
        handle: async (call) => {
          const refusal = scopes ? judge(call, scopes) : null
          return refusal ? answerOf(refusal.getResponse()) : handle(call)
        },
      })),
    })

const answerOf = async (response: Response): Promise<TestAnswer> => ({
  status: response.status,
  headers: Object.fromEntries(response.headers),
  body: await response.text(),
})

const tokenOf = ({ apiToken }: TestCall) => apiToken as Token
const nobody = new ImpersonationError('unauthenticated')
const plain = { answer: null, context: null, apiToken: null, user: undefined, headers: null }

export const sabotages: Readonly<Record<string, Sabotage>> = {
  'leaves the user slot to whoever is logged in': {
    sabotage: ofEntrance((entrance) => ({ ...entrance, user: undefined })),
    rules: [/runs as its owner/, /twice/, /in the place of an owner/],
  },
  'runs requests with an API token as if they came without': {
    sabotage: ofAdapter((adapter) => ({
      run: (now, rest) => adapter.run(now && 'owner' in now ? null : now, rest),
    })),
    rules: [/runs as its owner/, /is known while a body is read/, /nobody’s who came without/],
  },
  'leaves others the context that they are made in': {
    sabotage: ofAdapter((adapter) => ({
      run: (now, rest) => (now === null ? rest() : adapter.run(now, rest)),
    })),
    rules: [/`always` a request inside/, /`impersonating` a request inside/],
  },
  'puts no token on the request': {
    sabotage: ofCalls(() => ({ apiToken: undefined })),
    rules: [/runs as its owner/, /pins|no session overlays/, /ends with its time/],
  },
  'tells of an API token where there are none': {
    sabotage: ofCalls(({ apiToken }) => ({ apiToken: apiToken ?? null })),
    rules: [/without the option/],
  },
  'takes an API token for an impersonation': {
    sabotage: ofCalls(({ impersonation, apiToken }) => ({
      impersonation: impersonation ?? apiToken,
    })),
    rules: [/runs as its owner/],
  },
  'says of answers to API tokens that somebody is impersonated': {
    sabotage: ofEntrance((entrance) => ({
      ...entrance,
      headers: { set: [['X-Impersonating', 'true']], isPrivate: false, cookie: null },
    })),
    rules: [/runs as its owner/],
  },
  'lets anybody take the place of an owner': {
    sabotage: ofAdapter(() => ({ isTarget: () => true })),
    rules: [
      /an admin in the place/,
      /another user in the/,
      /organisation in the/,
      /no user in the/,
    ],
  },
  'lets nobody enrich the record of an owner': {
    sabotage: ofAdapter(() => ({ isTarget: () => false })),
    rules: [/enrich/],
  },
  'runs what no token is as whoever is logged in': {
    sabotage: ofEntrance((entrance) =>
      entrance.answer?.status === 401 ? { ...plain, trace: null } : entrance,
    ),
    rules: [/reaches nobody/, /ends with its time/],
  },
  'knows a token by how it looked first': {
    sabotage: (mount) => (app) => {
      const first = new Map<string, Entrance<TestUser>>()
      return ofEntrance((entrance, text) => {
        if (entrance.apiToken && !first.has(text)) first.set(text, entrance)
        return first.get(text) ?? entrance
      })(mount)(app)
    },
    rules: [/ends with its time/],
  },
  'takes one token for another': {
    sabotage: (mount) => (app) => {
      let first: Entrance<TestUser> | undefined
      return ofEntrance((entrance) => {
        if (entrance.apiToken) first ??= entrance
        return entrance.apiToken && first ? first : entrance
      })(mount)(app)
    },
    rules: [/none is mixed up/, /open to API tokens with all/],
  },
  'sees no pins': {
    sabotage: ofView((view) => ({
      header: (request, name) =>
        name === 'x-impersonation-session' ? undefined : view.header(request, name),
    })),
    rules: [/no session overlays/],
  },
  'reads tokens out of the query': {
    sabotage: ofView(
      header((found, view, request) => {
        const token = /[?&]token=(\w+)/.exec(view.target(request))?.[1]
        return found ?? (token && `Bearer ${token}`)
      }),
    ),
    rules: [/no query carries one/],
  },
  'leaves forged headers where they are': {
    sabotage: ofView(() => ({ removeHeader: () => {} })),
    rules: [/rid of our headers/],
  },
  'answers our own routes to whoever is logged in beside the token': {
    sabotage: ofView(
      header((found, view, request) =>
        view.path(request).startsWith('/impersonation/') && found?.includes('tst_live_')
          ? undefined
          : found,
      ),
    ),
    rules: [/for no login/],
  },
  'looks at the first of two headers': {
    sockets: true,
    sabotage: ofView((view) => ({
      hasTwoLogins: () => false,
      header: (request, name) =>
        name === 'authorization'
          ? (request as { headers: { authorization?: string } }).headers.authorization
          : view.header(request, name),
    })),
    rules: [/one too many/],
  },
  'wants no scopes': {
    sabotage: ofScopes(() => undefined),
    rules: [/closed to API tokens/, /asks nobody/, /no API tokens$/, /has not seen/],
  },
  'wants one of many scopes': {
    sabotage: ofScopes((scopes) => scopes.slice(0, 1)),
    rules: [/closed to API tokens/],
  },
  'wants more scopes than it was told': {
    sabotage: ofScopes((scopes) => [...scopes, 'unknown']),
    rules: [/open to API tokens with all/],
  },
  'lets pass who is nobody': {
    sabotage: ofMark((call, scopes) => lacking(tokenOf(call) ?? null, scopes)),
    rules: [/asks nobody/, /no API tokens$/, /has not seen/],
  },
  'wants scopes of logins': {
    sabotage: ofMark((call, scopes) => {
      const token = tokenOf(call)
      if (token) return lacking(token, scopes)
      return call.user && !call.impersonation ? nobody : null
    }),
    rules: [/open to every login/],
  },
  'takes who came by an impersonation token for nobody': {
    sabotage: ofMark((call, scopes) =>
      call.header('authorization')?.startsWith('Bearer ey')
        ? nobody
        : lacking(tokenOf(call) ?? null, scopes),
    ),
    rules: [/open to an impersonation by token/],
  },
}
