import type { Ending, Session } from '../types.ts'

/** What an answer has to carry, whatever the handler did; made once per session, not per request. */
export interface HeaderPlan {
  readonly set: ReadonlyArray<readonly [name: string, value: string]>
  /** Whether the answer is somebody's private view: no cache may keep it. */
  readonly isPrivate: boolean
  readonly cookie: string | null
}

/** Sent by clients these mean nothing; they are removed before any handler could believe them. */
export const forgeable = [
  'x-impersonating',
  'x-impersonated-user-id',
  'x-impersonator-id',
  'x-impersonation-access-level',
  'x-impersonation-id',
] as const

export const exposedHeaders =
  'X-Impersonating, X-Impersonated-User-Id, X-Impersonation-Session, X-Impersonation-Ended'

/** Each would let a cache between us and the browser keep an answer in spite of Cache-Control. */
export const cacheHeaders = [
  'cdn-cache-control',
  'cloudflare-cdn-cache-control',
  'vercel-cdn-cache-control',
  'netlify-cdn-cache-control',
  'surrogate-control',
  'x-accel-expires',
  'expires',
] as const

export const noStore = 'no-store, private'
const varied = ['Cookie', 'Authorization']

export function impersonatingHeaders(session: Session): HeaderPlan {
  return Object.freeze({
    set: [
      ['X-Impersonating', 'true'],
      ['X-Impersonated-User-Id', encodeHeader(session.targetUserId)],
      ['X-Impersonation-Session', encodeHeader(session.id)],
    ] as const,
    isPrivate: true,
    cookie: null,
  })
}

export function lapsedHeaders(ending: Ending): HeaderPlan {
  return { set: [['X-Impersonation-Ended', ending]], isPrivate: true, cookie: null }
}

export function cookieHeaders(cookie: string): HeaderPlan {
  return { set: [], isPrivate: false, cookie }
}

/** Headers are Latin-1, ids are anything. */
export function encodeHeader(id: string): string {
  return encodeURIComponent(id.toWellFormed())
}

/** The `Vary` that an answer needs beside its own. */
export function varyWith(present: string | null | undefined): string {
  return merge(present, varied)
}

/** The exposed headers that a CORS answer needs beside its own. */
export function exposeWith(present: string | null | undefined): string {
  return merge(present, exposedHeaders.split(', '))
}

function merge(present: string | null | undefined, wanted: readonly string[]): string {
  if (!present) return wanted.join(', ')
  const have = new Set(
    present
      .toLowerCase()
      .split(',')
      .map((name) => name.trim()),
  )
  if (have.has('*') && wanted === varied) return present
  const missing = wanted.filter((name) => !have.has(name.toLowerCase()))
  return missing.length === 0 ? present : `${present}, ${missing.join(', ')}`
}
