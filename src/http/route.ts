import type { RequestMeta } from '../audit/events.ts'
import type { ErrorCode } from '../errors.ts'
import type { Caller } from '../lifecycle/start.ts'
import type { Verbs } from '../lifecycle/verbs.ts'
import type { ApiTokenContext, Session } from '../types.ts'
import type { shapes } from './schemas.ts'

export type Shapes = typeof shapes

// The routes don't look at the host's users, so they take callers of any kind.
// biome-ignore lint/suspicious/noExplicitAny: the engine is generic in the user, the table is not
type AnyUser = any

/** A route, as data: what a reviewer, the router and the OpenAPI document all read. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** Below `basePath`; `:id` is one segment. */
  readonly path: string
  /** `login`: whoever is logged in; the verb itself decides whether they may. */
  readonly who: 'anybody' | 'login'
  /** The routes of a feature that is switched off are not there. */
  readonly feature?:
    | 'consent'
    | 'breakGlass'
    | 'approvals'
    | 'sandbox'
    | 'tokens'
    | 'apiTokens'
    | 'listUsers'
  readonly summary: string
  readonly body?: keyof Shapes & `${string}Body`
  readonly query?: keyof Shapes & `${string}Query`
  readonly answer?: keyof Shapes & `${string}Answer`
  readonly status: 200 | 201 | 202
  /** Whether it heeds what the client believes is active; stopping and looking never depend on it. */
  readonly pinned?: true
  /** Whether an attempt of nobody is recorded; those of everybody else are recorded by the verb. */
  readonly audited?: true
  /** What it refuses with, beside what every route does. */
  readonly codes: readonly ErrorCode[]
  run(call: Call): Promise<Response>
  /** For a request that carries an impersonation token, of this session; where it is not there, that is refused. */
  byToken?(
    call: Omit<Call, 'caller' | 'body' | 'query'>,
    session: Session,
    meta: RequestMeta,
  ): Promise<Response>
  /** For a request that carries an API token; where it is not there, that is refused. */
  byApiToken?(
    call: Omit<Call, 'caller' | 'query'>,
    token: ApiTokenContext<AnyUser>,
    meta: RequestMeta,
  ): Promise<Response>
}

export interface Call extends Verbs<AnyUser> {
  readonly request: Request
  /** Null only where `who` is `anybody`. */
  readonly caller: Caller<AnyUser>
  /** How many have to approve. */
  readonly quorum: number
  /** The routes that are there. */
  readonly routes: readonly Route[]
  readonly params: Readonly<Record<string, string>>
  readonly body: unknown
  readonly query: unknown
  readonly now: number
  /** The name of the hint cookie of this request, and whether it is a secure one. */
  readonly cookie: { readonly name: string; readonly secure: boolean }
  /** Where the routes are mounted, for the OpenAPI document. */
  readonly base: string
}
