import * as z from 'zod'
import { accessLevels, endedReasons, sessionStatuses, transports } from '../../types.ts'
import {
  id,
  instant,
  iso,
  listOf,
  minutes,
  none,
  orNull,
  page,
  reason,
  string,
  text,
} from './parts.ts'

/** Sessions: start, stop, status, lists. */

export const startBody = z.strictObject({
  target_user_id: id,
  reason: reason.optional(),
  ticket: text(255).optional(),
  duration_minutes: minutes.optional(),
  access_level: z.enum(accessLevels).optional(),
  target_org_id: id.optional(),
  client_id: text(255).optional(),
  grant_id: id.optional(),
  approval_id: id.optional(),
  transport: z.enum(transports).optional(),
})

export const stopBody = none.optional()

export const extendBody = z.strictObject({ minutes })

export const revokeBody = z.strictObject({ reason: text(500).optional() }).optional()

export const testSessionBody = z.strictObject({
  role: text(64),
  reason: reason.optional(),
})

export const sessionsQuery = z.strictObject({
  status: z.enum(sessionStatuses).optional(),
  actor_id: id.optional(),
  target_user_id: id.optional(),
  org_id: id.optional(),
  from: instant.optional(),
  to: instant.optional(),
  ...page,
})

export const sessionAnswer = z.object({
  id: string,
  actor_id: string,
  actor_org_id: orNull(string),
  target_user_id: string,
  target_org_id: orNull(string),
  target_role: orNull(string),
  access_level: z.enum(accessLevels),
  reason: orNull(string),
  ticket: orNull(string),
  grant_id: orNull(string),
  break_glass: z.boolean(),
  transport: z.enum(transports),
  client_id: orNull(string),
  ip_address: orNull(string),
  user_agent: orNull(string),
  created_at: iso,
  expires_at: iso,
  ended_at: orNull(iso),
  ended_reason: orNull(z.enum(endedReasons)),
  ended_note: orNull(string),
  ended_by: orNull(string),
  status: z.enum(sessionStatuses),
})

export const sessionsAnswer = listOf(sessionAnswer)

export const startAnswer = z.object({
  status: z.literal('active'),
  session_id: string,
  target_user: z.object({
    id: string,
    email: orNull(string),
    name: orNull(string),
    org_id: orNull(string),
    role: orNull(string),
  }),
  access_level: z.enum(accessLevels),
  expires_at: iso,
  access_token: string.optional(),
  token_type: z.literal('Bearer').optional(),
  expires_in: z.int().optional(),
})

export const jwksAnswer = z.object({ keys: z.array(z.record(string, string)) })

export const stopAnswer = z.object({
  status: z.literal('stopped'),
  session_id: string,
  ended_reason: z.enum(endedReasons).optional(),
})

export const statusAnswer = z.object({
  is_impersonating: z.boolean(),
  session_id: string.optional(),
  target_user_id: string.optional(),
  target_email: orNull(string).optional(),
  target_name: orNull(string).optional(),
  target_org_id: orNull(string).optional(),
  access_level: z.enum(accessLevels).optional(),
  reason: orNull(string).optional(),
  break_glass: z.boolean().optional(),
  expires_at: iso.optional(),
  last_ended: z
    .object({
      session_id: string,
      status: z.enum(sessionStatuses),
      ended_reason: orNull(z.enum(endedReasons)),
      ended_at: orNull(iso),
    })
    .optional(),
})

export const extendAnswer = z.object({ expires_at: iso })
