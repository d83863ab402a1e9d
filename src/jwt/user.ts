import type { JWTPayload } from 'jose'

/** The claims of a token that has passed every check. Frozen, and shared by requests. */
export type VerifiedClaims = Readonly<JWTPayload> & { readonly sub: string; readonly exp: number }

/** The user record that `jwtActor` makes of a token where the option `claims` is left out. */
export interface TokenUser {
  /** The claim `sub`. */
  id: string
  /** The claim `email`, null when it is no string; so are the next three. */
  email: string | null
  name: string | null
  /** The claim `org_id`. */
  orgId: string | null
  role: string | null
  /** RFC 8693: present when the token is itself an impersonation; such a login can't start one. */
  act?: unknown
  impersonatedBy?: unknown
  impersonated_by?: unknown
}

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null)

/** A new record each time, since hosts write on theirs. */
export function tokenUser(payload: VerifiedClaims): TokenUser {
  const { sub, email, name, org_id, role } = payload
  return { id: sub, email: text(email), name: text(name), orgId: text(org_id), role: text(role) }
}

const marks = ['act', 'impersonatedBy', 'impersonated_by'] as const

/**
 * What says that a token is itself an impersonation must reach the user record, or whoever holds it
 * could start another. A mapping that looks the user up by `sub` loses it, so it is put back: on a
 * copy, because the record may be the host's own, in use by other requests.
 */
export function withMarks<User>(payload: VerifiedClaims, user: User): User {
  let marked = user
  for (const mark of marks) {
    const value = payload[mark]
    if (!value) continue
    if (typeof marked !== 'object' || marked === null) {
      throw new TypeError(
        '"claims" must give an object or null: this token is an impersonation, and the user record has to say so',
      )
    }
    const record: object = marked
    if ((record as Record<string, unknown>)[mark]) continue
    marked = Object.create(Object.getPrototypeOf(record), {
      ...Object.getOwnPropertyDescriptors(record),
      [mark]: { value, enumerable: true, configurable: true, writable: true },
    }) as User & object
  }
  return marked
}
