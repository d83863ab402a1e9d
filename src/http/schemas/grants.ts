import * as z from 'zod'
import { accessLevels, endedReasons, grantStatuses, sessionStatuses } from '../../types.ts'
import { id, iso, listOf, minutes, none, orNull, reason, string, text } from './parts.ts'

/** Consent, and what the target may see of it. */

export const grantBody = z.strictObject({
  target_user_id: id,
  access_level: z.enum(accessLevels).optional(),
  reason: reason.optional(),
  ticket: text(255).optional(),
  duration_minutes: minutes.optional(),
})

export const approveBody = z
  .strictObject({
    access_level: z.enum(accessLevels).optional(),
    duration_minutes: minutes.optional(),
  })
  .optional()

export const denyBody = none.optional()

export const grantAnswer = z.object({
  id: string,
  actor_id: string,
  target_user_id: string,
  access_level: z.enum(accessLevels),
  requested_access_level: z.enum(accessLevels),
  reason: orNull(string),
  ticket: orNull(string),
  status: z.enum(grantStatuses),
  created_at: iso,
  decided_at: orNull(iso),
  expires_at: iso,
})

export const grantsAnswer = listOf(grantAnswer)

export const historyAnswer = listOf(
  z.object({
    session_id: string,
    actor: z.record(string, z.union([string, z.number(), z.boolean(), z.null()])),
    reason: orNull(string),
    ticket: orNull(string),
    access_level: z.enum(accessLevels),
    break_glass: z.boolean(),
    started_at: iso,
    ended_at: orNull(iso),
    status: z.enum(sessionStatuses),
    ended_reason: orNull(z.enum(endedReasons)),
    actions: z.record(string, z.int()),
  }),
)
