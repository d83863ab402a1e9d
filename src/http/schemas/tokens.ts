import * as z from 'zod'
import { id, iso, listOf, orNull, page, string, text } from './parts.ts'

/** API tokens: what is asked, and what is told of them: the token itself once, its hash never. */

export const tokenBody = z.strictObject({
  user_id: id,
  name: text(400),
  scopes: z.array(text(100)).max(100),
  expires_in_days: z.int().min(1).optional(),
})

export const rotateBody = z.strictObject({ overlap_minutes: z.int().min(0).optional() }).optional()

export const tokensQuery = z.strictObject({
  user_id: id.optional(),
  issued_by: id.optional(),
  ...page,
})

export const usersQuery = z.strictObject({
  query: string
    .max(200)
    .regex(/^[^\0]*$/, 'must not contain the NUL character')
    .optional(),
  ...page,
})

const told = {
  id: string,
  prefix: string,
  user_id: string,
  name: string,
  scopes: z.array(string),
  created_at: iso,
  expires_at: iso,
}

export const issuedTokenAnswer = z.object({ ...told, token: string })

export const tokenAnswer = z.object({
  ...told,
  last_used_at: orNull(iso),
  revoked_at: orNull(iso),
  issued_by: string,
})

export const tokensAnswer = listOf(tokenAnswer)

export const usersAnswer = listOf(
  z.object({
    id: string,
    email: orNull(string),
    name: orNull(string),
    org_id: orNull(string),
    role: orNull(string),
  }),
)
