import type { Trace, Trail, TrailRequest } from '../audit/trail.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { Session } from '../types.ts'
import type { RequestView } from './identify.ts'
import { pathOf } from './patterns.ts'

/** Which requests go on the action trail, and what of them. */
export interface Tracing {
  /** Null where a request of this kind is not recorded. Rejects where it would have to be and can't be. */
  begin(reads: boolean, request: () => TrailRequest): Trace | null | Promise<Trace>
  /** Notes a request that no handler is going to see. */
  refused(reads: boolean, request: () => TrailRequest, status: number): void
  /** Stores what waits, of one session or of all. Never rejects. */
  flush(sessionId?: string): Promise<void>
}

/** Null where there is no trail. */
export function createTracing<User extends object>(
  settings: Settings<User>,
  store: GuardedStore,
): Tracing | null {
  const { trail: mode } = settings
  const section = store.trail
  if (mode === 'off' || !section) return null
  const recorded = (reads: boolean) => mode === 'all' || !reads

  /** Loaded with the first request that is recorded. */
  let trail: Trail | undefined
  async function load(): Promise<Trail> {
    const { createTrail } = await import('../audit/trail.ts')
    trail ??= createTrail({ settings, store: section as NonNullable<typeof section> })
    return trail
  }

  return {
    begin(reads, request) {
      if (!recorded(reads)) return null
      if (!reads) return trail ? trail.before(request()) : load().then((to) => to.before(request()))
      return trail ? trail.reading(request()) : load().then((to) => to.reading(request()))
    },
    refused(reads, request, status) {
      if (!recorded(reads)) return
      if (trail) trail.refused(request(), status)
      else load().then((to) => to.refused(request(), status))
    },
    flush: async (sessionId) => trail?.flush(sessionId),
  }
}

/** What of a request may go on record: no body, no header but the request's id, of the query only what is allowed. */
export function trailRequestOf<Req>(
  session: Session,
  request: Req,
  view: RequestView<Req>,
  query: readonly string[],
): TrailRequest {
  const target = view.target(request)
  return {
    session,
    method: clean(view.method(request).toUpperCase(), 32),
    route: cleanOrNull(view.route?.(request), 500),
    path: clean(pathOf(target) + allowed(target, query), 1000),
    requestId: cleanOrNull(view.header(request, 'x-request-id'), 200),
  }
}

/** The parameters that may be recorded, in the order in which the client sent them. */
function allowed(target: string, names: readonly string[]): string {
  const at = target.indexOf('?')
  if (names.length === 0 || at < 0) return ''
  const [query = ''] = target.slice(at + 1).split('#', 1)
  const given = [...new URLSearchParams(query)].filter(([name]) => names.includes(name))
  return given.length > 0 ? `?${new URLSearchParams(given)}` : ''
}

/** As every store hands it out: databases replace NUL and half a surrogate pair in text. */
const clean = (text: string, most: number) =>
  text.slice(0, most).toWellFormed().replaceAll('\0', '\uFFFD')

const cleanOrNull = (text: string | undefined, most: number) =>
  text === undefined ? null : clean(text, most)
