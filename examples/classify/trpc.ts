import type { Classification, ClassifyRequest, Guardrail } from 'onbehalf'

/*
 * tRPC 11: the path names the procedures, `/trpc/notes.list` or `/trpc/notes.list,notes.add?batch=1`,
 * and your router knows which of them read. So queries by POST are served at `view`, and a mutation
 * that is guarded is refused at every level, also in the middle of a batch.
 */

/** What is needed of a router made by `t.router({ … })`. */
interface Router {
  readonly _def: { readonly procedures: Record<string, unknown> }
}

export interface TrpcOptions {
  readonly router: Router
  /** The guarded mutations, by their full names: `{ 'billing.pay': 'payment' }`. */
  readonly guarded: Readonly<Record<string, Guardrail>>
  /** Where the router is mounted, as the client sees it. @default '/trpc' */
  readonly path?: `/${string}`
}

export function trpcClassifier({ router, guarded, path = '/trpc' }: TrpcOptions) {
  const { procedures } = router._def
  const guards = new Map(Object.entries(guarded))

  return function classifyTrpc(request: ClassifyRequest): Classification {
    if (!request.mayBe(`* ${path}/*`)) return undefined
    // What goes through a socket passes no middleware; a spelling that routers read in two ways has no one name.
    if (/websocket/i.test(request.header('upgrade') ?? '')) return 'unknown'
    if (request.method === 'OPTIONS') return undefined
    if (!request.is(`* ${path}/*`)) return 'unknown'

    // With or without `batch=1`: a name that holds a comma is no procedure.
    const names = decodeURIComponent(request.path.slice(path.length + 1)).split(',')
    const kinds = names.map((name) => kindOf(procedures[name]))
    // Also what is loaded later, which the router can't tell of yet.
    if (kinds.includes(undefined)) return 'unknown'
    const guard = names.map((name) => guards.get(name)).find((kind) => kind !== undefined)
    if (guard) return { guard }
    return kinds.includes('mutation') ? 'write' : 'read'
  }
}

/** A subscription by server-sent events only reads; end it by the `signal` of `impersonation.current()`. */
function kindOf(procedure: unknown): 'query' | 'mutation' | 'subscription' | undefined {
  return (procedure as { _def?: { type?: 'query' | 'mutation' | 'subscription' } } | undefined)
    ?._def?.type
}
