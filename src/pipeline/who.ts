import type { People } from '../people.ts'
import type { AccessLevel, Impersonation } from '../types.ts'
import type { Context } from './context.ts'
import { type ForwardOptions, forwardedHeaders, type IncomingHeaders } from './forward.ts'
import { type SqlSettings, sqlSettingsOf } from './sql-settings.ts'

/** Who is behind it, as other parts of the app want to be told: rows, databases, limits, analytics, other services. */
export interface Who<User> {
  /** Who is behind a change, for rows and log lines; `{}` while not impersonating. @throws {Error} outside a request */
  auditFields(): AuditFields
  /**
   * Who acts, for a log line: `{ impersonation: { actor_id, target_user_id, session_id, access_level,
   * break_glass } }`, or `{}` while nobody is impersonated and where nobody knows. Never throws: made for
   * pino's `mixin: () => impersonation.logFields()`.
   */
  logFields(): LogFields
  /** The organisation in which the target is impersonated; null when there is none or nobody is impersonated. */
  currentOrgId(): string | null
  /**
   * Whether what happens now may count as the user's own doing: analytics, "last seen", quotas.
   * False while impersonating, and where nobody knows.
   */
  shouldTrack(): boolean
  /**
   * Whose budget a request is charged to: the actor's while impersonating, never the customer's; else
   * the user's. Undefined when nobody is logged in: `rateLimitKey(req) ?? req.ip`.
   * @param request the framework's own: Express's or Fastify's request, Hono's context
   * @param user who is logged in, where that is not `request.user` or `c.get('user')`
   */
  rateLimitKey(request: object, user?: User | null): string | undefined
  /**
   * Headers for a call to another service. They tell both people (`X-Impersonating`,
   * `X-Impersonated-User-Id`, `X-Impersonator-Id`, `X-Impersonation-Access-Level`, `X-Impersonation-Id`;
   * ids by `encodeURIComponent`) and carry no credential of the actor. The other service must believe
   * them from callers it has authenticated only.
   * @param incoming the headers of the request at hand: trace and request ids are passed on, and what `allow` names
   * @throws {Error} outside a request, as `current()` does
   */
  forwardHeaders(incoming?: IncomingHeaders, options?: ForwardOptions): Record<string, string>
  /**
   * The statement that tells a Postgres transaction who is behind it, for row-level security and
   * triggers: `onbehalf.access_level` (`none` while nobody is impersonated), `onbehalf.actor_id`,
   * `onbehalf.target_user_id`, `onbehalf.session_id`. Run it first in the transaction; it ends with it.
   * Under `view` it makes the transaction read-only.
   * @throws {Error} outside a request, as `current()` does
   */
  sqlSettings(): SqlSettings
}

export type AuditFields =
  | { impersonated_by: string; impersonation_target: string }
  | Record<never, string>

export type LogFields =
  | {
      readonly impersonation: {
        readonly actor_id: string
        readonly target_user_id: string
        readonly session_id: string
        readonly access_level: AccessLevel
        readonly break_glass: boolean
      }
    }
  | Record<never, string>

/** Where adapters put the context: on the request, or among Hono's variables (`get` would read a header in Express). */
interface Carrier<User> {
  readonly impersonation?: Impersonation<User> | null
  readonly user?: User | null
  readonly var?: {
    readonly impersonation?: Impersonation<User> | null
    readonly user?: User | null
  }
}

export function createWho<User extends object>(
  { current, tryCurrent }: Context<User>,
  people: People<User>,
): Who<User> {
  return {
    auditFields() {
      const context = current()
      if (context === null) return {}
      const { actorId, targetUserId } = context.session
      return { impersonated_by: actorId, impersonation_target: targetUserId }
    },
    logFields() {
      const session = tryCurrent()?.session
      if (!session) return {}
      return {
        impersonation: {
          actor_id: session.actorId,
          target_user_id: session.targetUserId,
          session_id: session.id,
          access_level: session.accessLevel,
          break_glass: session.breakGlass,
        },
      }
    },
    currentOrgId: () => current()?.session.targetOrgId ?? null,
    shouldTrack: () => tryCurrent() === null,
    rateLimitKey(request, user) {
      const carrier = request as Carrier<User>
      const context = carrier.impersonation ?? carrier.var?.impersonation ?? tryCurrent()
      if (context) return `user:${context.session.actorId}`
      const payer = user ?? carrier.user ?? carrier.var?.user
      return payer ? `user:${people.profile(payer).id}` : undefined
    },
    forwardHeaders: (incoming, options) => forwardedHeaders(current(), incoming, options),
    sqlSettings: () => sqlSettingsOf(current()),
  }
}
