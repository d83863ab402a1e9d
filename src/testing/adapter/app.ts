import type { ImpersonationEngine } from '../../impersonation.ts'
import type { Action, Guardrail } from '../../types.ts'

/** A user of the app under test, whole: what an adapter leaks of the actor shows here. */
export interface TestUser {
  readonly id: string
  readonly name: string
  readonly email: string | null
  readonly orgId: string | null
  readonly role: string | null
  readonly active: boolean
  readonly isSuperuser: boolean
  readonly rights: readonly Action[]
}

/** A request as handlers and layers of the app see it. */
export interface TestCall {
  /** What stands in the user slot. */
  readonly user: unknown
  /** What the adapter put on the request object. */
  readonly impersonation: unknown
  /** What the adapter put there of the API token that the request came with. */
  readonly apiToken: unknown
  /** A request header in the framework's usual way; the name comes in lower case. */
  header(name: string): string | undefined
  /** The names of the request headers, in lower case, in every form a handler can get at: raw and distinct ones too. */
  headerNames(): readonly string[]
  /** The body, parsed as JSON in the framework's usual way. */
  body(): unknown
}

/** What a handler answers: by the framework's usual way unless it says otherwise. */
export interface TestAnswer {
  /** @default 200 */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** None means an answer without a body. */
  readonly body?: string
  /** Redirect to this place, by the framework's own call. */
  readonly redirect?: string
  /** Answer with a stream of these pieces, asked for one by one. */
  readonly stream?: () => AsyncGenerator<string>
  /** Answer past the framework: one of the `rawWays` that were named to the suite, with status, headers and body as above. */
  readonly raw?: string
}

/** May throw or reject: leave that to the framework. */
export type TestHandler = (call: TestCall) => TestAnswer | Promise<TestAnswer>

export interface TestRoute {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Without parameters. */
  readonly path: string
  /** Where it is there: the adapter's own mark of a guarded route. */
  readonly guard?: Guardrail | undefined
  /** Where they are there: what the adapter's own `requireScope` before the handler is given. */
  readonly scopes?: readonly string[] | undefined
  readonly handle: TestHandler
}

/** What runs ahead of the routes, in this order. */
export type TestLayer =
  /** The adapter under test. */
  | { readonly kind: 'impersonation' }
  /** The framework's parser of JSON and form bodies, where it is a layer; where it is none, nothing. */
  | { readonly kind: 'parser' }
  /** Puts a header on every response, as a CORS or helmet layer does. */
  | { readonly kind: 'header'; readonly name: string; readonly value: string }
  /** Puts what `find` gives into the user slot, unless that is undefined. */
  | {
      readonly kind: 'user'
      readonly find: (call: TestCall) => TestUser | null | undefined
    }

/** A small app, told without any framework; `mount` builds and serves it. */
export interface TestApp {
  readonly engine: ImpersonationEngine<TestUser>
  /** Where layers and routes live: `''`, `'/api'` or `'/:tenant'`. */
  readonly mountPath: string
  readonly layers: readonly TestLayer[]
  readonly routes: readonly TestRoute[]
  /** Where it is there: the app's handler of errors. */
  readonly onError?: ((error: unknown, call: TestCall) => TestAnswer) | undefined
  /** Where it is there: the app's handler of what no route matches. */
  readonly notFound?: TestHandler | undefined
}

export interface MountedApp {
  /** Where the app listens, such as `http://127.0.0.1:3000`; without the mount path. */
  readonly url: string
  /** Ends it, open connections included. */
  close(): unknown
  /** Asks the app without a network; the tests with sockets are to be switched off then. */
  fetch?(request: Request): Response | Promise<Response>
}

export type Mount = (app: TestApp) => MountedApp | Promise<MountedApp>

export interface AdapterTestsOptions {
  /** Ways of answering past the framework (`writeHead`, `hijack`, a plain `Response`) that `mount` knows. @default [] */
  readonly rawWays?: readonly string[]
  /** Whether the mounted app listens on a real socket. @default true */
  readonly sockets?: boolean
  /** Whether the framework can mount below a parameter. @default true */
  readonly parametrisedMounts?: boolean
  /** Whether the adapter guards the user slot against later layers; one with a `setUser` of its own can't. @default true */
  readonly holdsSlot?: boolean
  /** Whether the adapter tells of a login that runs after it; one with a `getActor` of its own can't. @default true */
  readonly tellsOrder?: boolean
  /** Whether the adapter has a mark for guarded routes, which `mount` puts where a route says `guard`. @default true */
  readonly marksRoutes?: boolean
  /** Whether the adapter has a `requireScope`, which `mount` puts where a route says `scopes`. @default true */
  readonly marksScopes?: boolean
  /** Whether layers run only once the body has been read. @default false */
  readonly readsBodyFirst?: boolean
  /** How many requests of several admins are interleaved. @default ONBEHALF_REQUESTS of the environment, or 2000 */
  readonly requests?: number
  /** Paths that this framework takes for `POST /account/password`, beside those every router is asked with. @default [] */
  readonly spellings?: readonly string[]
}
