import { ImpersonationError } from '../errors.ts'
import type { Settings } from '../settings.ts'
import type { AccessLevel, Guardrail } from '../types.ts'
import { catalogueKind, deletesPerson } from './catalogue.ts'
import { type Classification, createClassify } from './classify.ts'
import type { RequestView } from './identify.ts'
import { isForm, isSafe, saysOtherMethod } from './methods.ts'
import { pathOf, readingsOf, readsOneWay } from './patterns.ts'

/** As whom a request may run, and whether it does no more than read. */
export interface Allowed {
  readonly as: 'target' | 'actor'
  readonly reads: boolean
}

export type Verdict = ImpersonationError | Allowed

const allowed = Object.freeze({
  target: {
    reads: Object.freeze({ as: 'target', reads: true }),
    writes: Object.freeze({ as: 'target', reads: false }),
  },
  actor: {
    reads: Object.freeze({ as: 'actor', reads: true }),
    writes: Object.freeze({ as: 'actor', reads: false }),
  },
} as const)

/**
 * Whether a request may go on under an access level. Guardrails come first and hold at every level,
 * also where the actor keeps their identity. A Promise only where the host's `classify` gives one.
 */
export type Enforce<Req> = (request: Req, level: AccessLevel) => Verdict | Promise<Verdict>

export function createEnforce<Req, User extends object>(
  settings: Settings<User>,
  view: RequestView<Req>,
): Enforce<Req> {
  const { guardrails, fullAccessRoutes, keepActorRoutes } = settings
  const classify = settings.classify && createClassify(settings.classify, view)
  const looksAtReads =
    classify !== undefined ||
    keepActorRoutes.size > 0 ||
    fullAccessRoutes.size > 0 ||
    guardrails?.some(({ patterns }) => !patterns.unsafeOnly)

  /** @param anyMethod the method, or `*` where the body may name another one */
  function guarded(
    method: string,
    anyMethod: string,
    safe: boolean,
    readings: readonly string[],
  ): Guardrail | undefined {
    if (guardrails)
      return guardrails.find(({ patterns }) => patterns.find(anyMethod, readings))?.kind
    if (safe) return undefined
    // By its own method: every profile is saved by a form or by JSON.
    const deletes = deletesPerson(method, readings)
    return catalogueKind(readings) ?? (deletes ? 'account_deletion' : undefined)
  }

  /** The actor's own powers: only where no router could mean another route. */
  function keepsActor(method: string, path: string): boolean {
    return readsOneWay(path) && keepActorRoutes.find(method, [path]) !== undefined
  }

  return function enforce(request, level) {
    const marked = view.marked?.(request)
    if (marked) return blocked(marked)
    const safe = isSafe(request, view)
    // The common case by far: a read, and nothing that speaks of reads.
    if (safe && !looksAtReads) return allowed.target.reads

    const sent = view.method(request)
    const overridden = saysOtherMethod(request, view)
    const method = overridden ? '*' : sent.toUpperCase()
    const readings = readingsOfRequest(request, view)
    // What a body may say of its method can't be seen from here.
    const anyMethod = isForm(request, view) ? '*' : method
    const kind = guarded(method, anyMethod, safe, readings)
    if (kind) return blocked(kind)

    const judge = (said: Classification): Verdict => {
      if (typeof said === 'object') return blocked(said.guard)
      if (said === 'unknown') return level === 'view' ? viewOnly() : untold()
      const reads = safe ? said !== 'write' : said === 'read' && !overridden
      const does = reads ? 'reads' : 'writes'
      if (!overridden && keepsActor(sent, pathOf(view.target(request)))) return allowed.actor[does]
      if (level === 'view' && !reads) return viewOnly()
      if (level !== 'full' && fullAccessRoutes.find(anyMethod, readings))
        return new ImpersonationError('full_access_required')
      return allowed.target[does]
    }
    const said = classify?.(request, readings)
    return said instanceof Promise ? said.then(judge) : judge(said)
  }
}

/** Every way in which this request's path may be read: as sent, below the mount, as the framework matched it. */
function readingsOfRequest<Req>(request: Req, view: RequestView<Req>): readonly string[] {
  const target = view.target(request)
  const path = view.path(request)
  const readings = [...readingsOf(target)]
  for (const route of view.routes?.(request) ?? []) readings.push(...readingsOf(route))
  if (path !== pathOf(target)) readings.push(...readingsOf(path))
  return readings
}

const viewOnly = () => new ImpersonationError('grant_view_only')

const blocked = (kind: Guardrail) =>
  new ImpersonationError('impersonation_write_blocked', { details: { guardrail: kind } })

const untold = () =>
  new ImpersonationError('impersonation_write_blocked', {
    message: 'What this request would do can not be told, so it is not done while impersonating.',
    details: { guardrail: null },
  })
