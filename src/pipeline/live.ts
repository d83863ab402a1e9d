import type { Trace } from '../audit/trail.ts'
import type { ImpersonationError } from '../errors.ts'
import type { Signals } from '../lifecycle/signals.ts'
import type { AccessLevel, ApiTokenContext, Guardrail, Impersonation, Session } from '../types.ts'
import { type HeaderPlan, impersonatingHeaders } from './headers.ts'
import type { Block } from './walls.ts'

/** What comes of a request: it goes on under a context, or it is refused. */
export interface Passage<User> {
  readonly refusal: ImpersonationError | null
  /** Always null here; the shape is shared with what adapters get, so that a hit makes no object. */
  readonly answer: null
  readonly context: Impersonation<User> | null
  /** The API token that the request came with, which is never there together with `context`. */
  readonly apiToken: ApiTokenContext<User> | null
  /** The user to put into the user slot; undefined leaves what the host's login put there. */
  readonly user: User | undefined
  readonly headers: HeaderPlan | null
  /** Wants to be told what became of the request; null where it is not recorded. */
  readonly trace: Trace | null
}

export function refusedBy<User>(
  refusal: ImpersonationError,
  headers: HeaderPlan | null = null,
): Passage<User> {
  return {
    refusal,
    answer: null,
    context: null,
    apiToken: null,
    user: undefined,
    headers,
    trace: null,
  }
}

/** A live session with what its requests need, made once and not per request. */
export interface Live<User> {
  readonly session: Session
  readonly asTarget: Passage<User>
  /** For `keepActorRoutes`: the same context, the user slot untouched. */
  readonly asActor: Passage<User>
}

/** Makes the frozen contexts that code runs under. */
export interface Lives {
  contextOf<User>(
    actor: User,
    target: User,
    row: Session,
    accessLevel?: AccessLevel,
  ): Impersonation<User>
  liveOf<User>(actor: User, target: User, row: Session): Live<User>
}

/** What a marker next to a route finds in a context it was handed: the engine that made it. */
const blocks = new WeakMap<object, Block>()

export function createLives(signals: Signals, block: Block): Lives {
  function contextOf<User>(
    actor: User,
    target: User,
    row: Session,
    accessLevel = row.accessLevel,
  ): Impersonation<User> {
    const session = Object.freeze({ ...row, accessLevel })
    const context: Impersonation<User> = Object.freeze({
      actor,
      target,
      session,
      get signal() {
        return signals.of(session)
      },
    })
    blocks.set(context, block)
    return context
  }

  return {
    contextOf,
    liveOf(actor, target, row) {
      const context = contextOf(actor, target, row)
      const asTarget = Object.freeze({
        refusal: null,
        answer: null,
        context,
        apiToken: null,
        user: target,
        headers: impersonatingHeaders(context.session),
        trace: null,
      })
      return Object.freeze({
        session: context.session,
        asTarget,
        asActor: Object.freeze({ ...asTarget, user: undefined }),
      })
    },
  }
}

/** The refusal of a request that reached a marked route under this context, put on record. */
export function refusalAt(context: Impersonation<unknown>, kind: Guardrail): ImpersonationError {
  const block = blocks.get(context)
  if (!block) throw new TypeError('the context on the request was not made by this library')
  return block(context, 'impersonation_write_blocked', { guardrail: kind })
}
