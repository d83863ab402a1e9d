import { cookieName } from '../pipeline/identify.ts'

/** How long the hint outlives its session: a page left open overnight still learns what happened. */
const afterlifeMs = 24 * 60 * 60_000

/** The hint cookie of a session: it names the session and grants nothing. */
export function setCookie(secure: boolean, sessionId: string, expiresInMs: number): string {
  const maxAge = Math.floor((Math.max(expiresInMs, 0) + afterlifeMs) / 1000)
  return write(cookieName(secure), sessionId, maxAge)
}

export function clearCookie(name: string): string {
  return write(name, '', 0)
}

function write(name: string, value: string, maxAge: number): string {
  const secure = name.startsWith('__Host-') ? '; Secure' : ''
  return `${name}=${value}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Lax${secure}`
}
