import { ImpersonationError } from '../errors.ts'
import type { RequestSection } from '../stores/requests.ts'
import type { RequestKind } from '../types.ts'

interface Parts {
  readonly rateLimit: { readonly starts: number; readonly perMs: number } | undefined
  readonly now: () => number
}

/** As often as one may start, one may ask. */
export function createRequestRate({ rateLimit, now }: Parts) {
  return async function checkRate(
    requests: RequestSection,
    kind: RequestKind,
    actorId: string,
  ): Promise<void> {
    if (!rateLimit) return
    const { starts, perMs } = rateLimit
    const at = now()
    const recent = { kind, actorId, from: at - perMs + 1 }
    const asked = await requests.listRequests(recent, { limit: starts })
    if (asked.length < starts) return
    const waitMs = Math.max((asked.at(-1)?.createdAt ?? at) + perMs - at, 1000)
    throw new ImpersonationError('rate_limited', {
      message: 'Too many requests were made; wait a while.',
      headers: { 'Retry-After': String(Math.ceil(waitMs / 1000)) },
    })
  }
}
