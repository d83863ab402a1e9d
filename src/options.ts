import type { ApiTokenOptions } from './api-tokens/option.ts'
import type { ConsentRule } from './lifecycle/consent.ts'
import type { Notifier } from './notify/notification.ts'
import type { Classification, ClassifyRequest } from './pipeline/classify.ts'
import type { RoutePattern } from './pipeline/patterns.ts'
import type { Store } from './stores/store.ts'
import type { ImpersonationTokenOptions } from './tokens/option.ts'
import type { AccessLevel, Action, AuditEvent, Guardrail } from './types.ts'

type Awaitable<T> = T | Promise<T>

/** What `createImpersonation` takes. Three are required; each of the others has a safe default. */
export interface ImpersonationOptions<User extends object, Scope extends string = string> {
  /** Where sessions and audit events live: `sqliteStore`, `kyselyStore`, `memoryStore` or your own. */
  store: Store

  /**
   * Gives the user with this id, shaped as your own login would put it on the request; null or
   * undefined when there is none. With `orgId`: the user as a member of that organisation, or null
   * when they are not a member.
   */
  findUser: (id: string, scope?: { readonly orgId: string }) => Awaitable<User | null | undefined>

  /**
   * Whether a user may do something with impersonation. Asked without a target to classify a user
   * (whoever may `start` is privileged and can't be a target) and with one to decide. Anything but
   * `true` is no, a throw is no. It stands on every request of a logged-in user: answer `start` from
   * what is on the live identity, without a query.
   */
  can: (
    user: NoInfer<User>,
    action: Action,
    target?: NoInfer<User>,
  ) => Awaitable<boolean | undefined>

  /**
   * Reads what the library needs from your user record.
   * @default the fields `id`, `email`, `name`, `orgId`, `role`, `active` of the record; a missing `active` means active
   */
  describe?: (user: NoInfer<User>) => UserDescription

  /** Where the routes are, relative to where the middleware is mounted. @default '/impersonation' */
  basePath?: string

  /** The longest a session may last, extensions included, in ms. @default 3_600_000 (60 min) */
  maxDurationMs?: number

  /** How long a session lasts when the start does not say, in ms. @default 1_800_000 (30 min), or `maxDurationMs` if that is less */
  defaultDurationMs?: number

  /** The access level of a start that does not say. @default 'view' */
  defaultAccessLevel?: AccessLevel

  /** Whether a start must give a reason. @default true */
  requireReason?: boolean

  /** What a start does to the actor's own live session: end it, or answer 409. @default 'replace' */
  onConflict?: 'replace' | 'reject'

  /** Whether only one actor at a time may impersonate a target. @default true */
  exclusiveTarget?: boolean

  /**
   * The routes of each kind of write that nobody may do while impersonating, at any level. Every kind
   * is required, so that forgetting one does not compile; `[]` says that your app has none.
   * @default a catalogue of path words (password, mfa, email, roles, payments, tokens, …) guards unsafe methods
   */
  guardrails?: Readonly<Record<Guardrail, readonly RoutePattern[]>>

  /** Routes that need the access level `full`. @default [] */
  fullAccessRoutes?: readonly RoutePattern[]

  /**
   * Routes on which the user slot stays the actor (an admin console), while `current()` and the
   * headers still tell of the session. Matched tightly: an unusual spelling runs as the target. @default []
   */
  keepActorRoutes?: readonly RoutePattern[]

  /**
   * Tells what a request does where its method does not: `'read'`, `'write'`, `{ guard: 'payment' }`,
   * `'unknown'`; undefined leaves it to method and path. Asked for every request under impersonation.
   * What throws or can't be told is refused. `graphqlClassifier` from `onbehalf/graphql` is one for GraphQL.
   */
  classify?: (request: ClassifyRequest) => Awaitable<Classification>

  /**
   * What happens to a write without a pin after a session has ended by itself or by others: `'refuse'`
   * answers 401, `'pass'` lets it run as the actor.
   *
   * > [!WARNING]
   * > With `'pass'` an operator whose session has just ended writes as themselves without knowing.
   * @default 'refuse'
   */
  onLapse?: 'refuse' | 'pass'

  /** How long (ms) and for how many actors an answer of the store is kept. @default { ttlMs: 30_000, max: 10_000 } */
  cache?: { readonly ttlMs?: number; readonly max?: number }

  /**
   * After how long, in ms, an answer is read again where the store does not tell of changes; and the
   * age at which the target is looked up again. At most 2000. @default 2000
   */
  revocationLagMs?: number

  /** How long a read of the store may take, in ms; then 503. Changes get five times as long. @default 1000 */
  storeTimeoutMs?: number

  /**
   * Wants a recent login for a start (RFC 9470). `authTime` gives the instant of the login itself in
   * ms since the epoch (not of a token's refresh), or undefined when unknown, which counts as too old.
   * @default off
   */
  freshAuth?: {
    readonly maxAgeMs: number
    readonly authTime: (request: unknown, user: NoInfer<User>) => number | undefined
  }

  /** How many sessions an actor may start within `perMs`, and how many API tokens issue; false for any number. @default { starts: 30, perMs: 3_600_000 } */
  rateLimit?: { readonly starts: number; readonly perMs: number } | false

  /**
   * Whether a start needs the target's consent: never, always, or as a rule says of this actor and
   * this target (their tenant, their contract): true, false, or `'forbidden'` for those whom nobody may
   * impersonate. A rule that throws wants consent. Anything but `'off'` needs a store with grants.
   * @default 'off'
   */
  consent?:
    | 'off'
    | 'required'
    | ((actor: NoInfer<User>, target: NoInfer<User>) => Awaitable<boolean | ConsentRule>)

  /** How long a request for consent waits for an answer, in ms. @default 43_200_000 (12 h) */
  grantRequestMs?: number

  /**
   * Switches break-glass on: two people open an account without the target's consent, who is told.
   * Needs a store with requests.
   * @default off
   */
  breakGlass?: BreakGlassOptions<NoInfer<User>>

  /**
   * Makes starts need the yes of colleagues who may `approve`. Needs a store with requests.
   * @default off
   */
  approvals?: ApprovalOptions

  /** Switches test sessions on, as disposable users. Needs a store with an outbox. @default off */
  sandbox?: SandboxOptions<NoInfer<User>>

  /**
   * Tells people of what concerns them: targets of requests, sessions and break-glass, operators of answers,
   * owners of API tokens.
   * Needs a store with an outbox.
   * @default off
   */
  notifier?: Notifier<NoInfer<User>>

  /**
   * Switches impersonation tokens on: sessions of programs, carried by a signed token instead of the actor's
   * login. See {@link ImpersonationTokenOptions}.
   * @default off
   */
  impersonationTokens?: ImpersonationTokenOptions

  /**
   * Switches API tokens on: credentials of users for their programs, issued and taken back by whoever may
   * `issue_token`. Needs a store with tokens. See {@link ApiTokenOptions}.
   * @default off
   */
  apiTokens?: ApiTokenOptions<NoInfer<User>, Scope>

  /** What becomes of audit events beside being stored, which they always are. */
  audit?: AuditOptions

  /**
   * What a target learns of the operator; `actor` is null when the account is gone.
   * @default their name and role
   */
  displayActor?: (actor: NoInfer<User> | null, target: NoInfer<User>) => Awaitable<DisplayedActor>

  /** Origins beside the request's own that may call the routes, such as `'https://admin.example.com'`. @default [] */
  allowedOrigins?: readonly string[]

  /** Whether the hint cookie is `Secure`: by the request's scheme as the framework sees it, always, never. @default 'auto' */
  secureCookie?: 'auto' | boolean

  /**
   * `'impersonating'` spares requests that don't impersonate the AsyncLocalStorage context (on Node 22
   * it slows every promise of the process by about 8 % of a request). What that gives up: `current()`
   * answers null where the context was lost, so "not impersonating" and "nobody knows" look the same.
   * @default 'always'
   */
  context?: 'always' | 'impersonating'

  /** The clock, in ms since the epoch. @default Date.now */
  now?: () => number
}

export interface BreakGlassOptions<User> {
  /**
   * Whether a one-time code is this user's now: `totp(…)` from `onbehalf/totp`, or your own. Anything
   * but `true` is no, a throw is no. Each code is asked about once: a second time it is refused unasked.
   */
  readonly verifySecondFactor: (user: User, code: string) => Awaitable<boolean>
  /**
   * Whether two accounts belong to one human. Anything but `false` is yes, a throw is yes.
   * @default by their ids
   */
  readonly samePerson?: (a: User, b: User) => Awaitable<boolean>
}

export interface ApprovalOptions {
  /** How many colleagues have to say yes, at most 20. @default 1 */
  readonly quorum?: number
  /** The roles, as `describe` gives them, of those whose yes counts. @default any, if `can` says `approve` */
  readonly roles?: readonly string[]
  /** The access levels that need it. @default all */
  readonly levels?: readonly AccessLevel[]
}

export interface SandboxOptions<User> {
  /**
   * Makes a user who exists for one session only, in a tenant without real data. `findUser` has to find
   * them until they are disposed of.
   */
  readonly provision: (role: string, actor: User) => Awaitable<User>
  /** Removes them. Called at least once after the session; a failure is tried again. */
  readonly dispose: (user: User) => Awaitable<unknown>
  /** The sandbox tenant: whoever is provisioned elsewhere is refused. @default any */
  readonly orgId?: string
}

export interface AuditKey {
  /** 1 to 64 characters; stored with each link. A key that is given without one has the id `default`. */
  readonly id: string
  readonly secret: string | Uint8Array
}

export interface AuditOptions {
  /**
   * Chains the audit events: whoever changes, removes or adds one in the database without this key is found
   * out by `impersonation.audit.verify()`. A secret of at least 32 characters or bytes, the same in every
   * process, kept where whoever may write to the database can't read it. To rotate it, give the new one
   * another `id` and put the old one into `oldKeys`. Needs a store with a chain.
   * @default none: events are stored, and nothing vouches for them
   */
  readonly key?: string | Uint8Array | AuditKey
  /** The keys of older links. @default none */
  readonly oldKeys?: readonly AuditKey[]
  /**
   * Told each event that this process has stored, once it is stored. At most once: what must not be missed
   * is in the store. What it throws changes nothing. @default none
   */
  readonly onEvent?: (event: AuditEvent) => unknown
  /**
   * The action trail: which requests under impersonation are put on record, with method, route, path, status and
   * duration; never a body. `'unsafe'`: those that may change something, each written *before* its handler
   * runs; where it can't be, the request is refused with 503. `'all'`: reads too, in batches after their answer;
   * when more than 10,000 wait for the store, no request under impersonation is let in. Needs a store with a trail.
   * @default 'off'
   */
  readonly trail?: 'off' | 'unsafe' | 'all'
  /** Names of query parameters that the trail may hold. Everything else behind the `?` is left out. @default none */
  readonly query?: readonly string[]
  /**
   * Gets each event through the outbox, at least once, in no order that can be relied on: `eventWebhook(…)` from
   * `onbehalf/notify`, or your own. What it rejects with is tried again, 15 times in about five hours. No request
   * waits for it. Needs a store with an outbox.
   * @default none
   */
  readonly sink?: EventSink
}

/** Where events are delivered to. `event` is as on the wire; its `id` is the same at each attempt. */
export interface EventSink {
  send(event: Readonly<Record<string, unknown>>): Promise<unknown>
}

/** Plain data for the target's eyes. */
export type DisplayedActor = Readonly<Record<string, string | number | boolean | null>>

/** What `describe` gives; everything but the id may be left out. */
export interface UserDescription {
  readonly id: string
  readonly email?: string | null | undefined
  readonly name?: string | null | undefined
  readonly orgId?: string | null | undefined
  readonly role?: string | null | undefined
  /** Missing means active. */
  readonly active?: boolean | undefined
}
