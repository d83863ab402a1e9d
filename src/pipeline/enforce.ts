import { ImpersonationError } from '../errors.ts'
import type { Settings } from '../settings.ts'
import type { AccessLevel, Guardrail } from '../types.ts'
import { catalogueKind } from './catalogue.ts'
import type { RequestView } from './identify.ts'
import { pathOf, readingsOf, readsOneWay, safeMethods } from './patterns.ts'

/**
 * Whether a request may go on under an access level: gives the refusal, or as whom it runs.
 * Guardrails come first and hold at every level, also where the actor keeps their identity.
 */
export type Enforce<Req> = (
  request: Req,
  level: AccessLevel,
) => ImpersonationError | 'target' | 'actor'

const overrideHeaders = ['x-http-method-override', 'x-http-method', 'x-method-override'] as const

export function createEnforce<Req, User extends object>(
  settings: Settings<User>,
  view: RequestView<Req>,
): Enforce<Req> {
  const { guardrails, fullAccessRoutes, keepActorRoutes } = settings
  const guardsSafe = guardrails?.some(({ patterns }) => !patterns.unsafeOnly) ?? false
  const keeps = keepActorRoutes.size > 0
  const needsFull = fullAccessRoutes.size > 0

  function guarded(
    method: string,
    safe: boolean,
    readings: readonly string[],
  ): Guardrail | undefined {
    if (guardrails) return guardrails.find(({ patterns }) => patterns.find(method, readings))?.kind
    return safe ? undefined : catalogueKind(readings)
  }

  /** The actor's own powers: only where no router could mean another route. */
  function keepsActor(method: string, path: string): boolean {
    return readsOneWay(path) && keepActorRoutes.find(method, [path]) !== undefined
  }

  return function enforce(request, level) {
    const sent = view.method(request)
    const overridden = saysOtherMethod(request, view)
    const safe = safeMethods.has(sent) && !overridden
    // The common case by far: a read, and no pattern that speaks of reads.
    if (safe && !guardsSafe && !needsFull && !keeps) return 'target'

    const method = overridden ? '*' : sent
    const target = view.target(request)
    const readings = [...readingsOf(target)]
    const route = view.route?.(request)
    if (route) readings.push(...readingsOf(route))
    const path = view.path(request)
    if (path !== pathOf(target)) readings.push(...readingsOf(path))

    const kind = guarded(isForm(request, view) ? '*' : method, safe, readings)
    if (kind)
      return new ImpersonationError('impersonation_write_blocked', { details: { guardrail: kind } })
    if (keeps && !overridden && keepsActor(sent, pathOf(target))) return 'actor'
    if (level === 'view' && !safe) return new ImpersonationError('grant_view_only')
    if (level !== 'full' && needsFull && fullAccessRoutes.find(method, readings)) {
      return new ImpersonationError('full_access_required')
    }
    return 'target'
  }
}

/** Whether a request only reads, as far as its method tells. */
export function isSafe<Req>(request: Req, view: RequestView<Req>): boolean {
  return safeMethods.has(view.method(request)) && !saysOtherMethod(request, view)
}

/** A form may name another method in its body, where it can't be seen from here. */
function isForm<Req>(request: Req, view: RequestView<Req>): boolean {
  const type = view.header(request, 'content-type')
  return type !== undefined && /^\s*(?:application\/x-www-form-urlencoded|multipart\/)/i.test(type)
}

/** A request that asks some layer below to take its method for another one. */
function saysOtherMethod<Req>(request: Req, view: RequestView<Req>): boolean {
  for (const name of overrideHeaders) if (view.header(request, name) !== undefined) return true
  const target = view.target(request)
  const query = target.indexOf('?')
  return query >= 0 && /method|%/i.test(target) && namesMethod(target.slice(query + 1))
}

function namesMethod(query: string): boolean {
  return query.split(/[&;]/).some((pair) => {
    const name = pair.split('=', 1)[0] ?? ''
    try {
      return /^\s*_method\b/i.test(decodeURIComponent(name.replaceAll('+', ' ')))
    } catch {
      return true
    }
  })
}
