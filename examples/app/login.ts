import { createSecretKey, randomBytes } from 'node:crypto'
import { jwtVerify, SignJWT } from 'jose'
import { findByEmail, findUser, type User } from './users.ts'

/*
 * The login that the application has anyway: it knows nothing of impersonation, and impersonation
 * changes nothing about it. No passwords, because this is a demo.
 */

const { JWT_SECRET } = process.env
const secret = createSecretKey(JWT_SECRET ? Buffer.from(JWT_SECRET) : randomBytes(32))
const issuer = 'https://app.example'
const audience = 'https://api.app.example'

/** Signs a token for the user with this email address; null when there is none who may log in. */
export async function login(email: unknown): Promise<{ token: string; user: User } | null> {
  const user = typeof email === 'string' ? findByEmail(email) : null
  if (!user?.active) return null
  const token = await new SignJWT()
    .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
    .setSubject(user.id)
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime('8h')
    .sign(secret)
  return { token, user }
}

/** Whose `Authorization` header this is; null when it is nobody's. */
export async function authenticate(authorization: string | undefined): Promise<User | null> {
  const token = /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1]
  if (!token) return null
  try {
    const { payload } = await jwtVerify(token, secret, {
      algorithms: ['HS256'],
      typ: 'at+jwt',
      issuer,
      audience,
      requiredClaims: ['sub', 'exp'],
    })
    return findUser(payload.sub ?? '')
  } catch {
    return null
  }
}
