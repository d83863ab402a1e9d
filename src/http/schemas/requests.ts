import * as z from 'zod'
import { accessLevels, requestStatuses } from '../../types.ts'
import { id, iso, listOf, orNull, page, reason, string, text } from './parts.ts'

/** Break-glass and approvals. */

const totp = text(64)

export const breakGlassBody = z.strictObject({
  target_user_id: id,
  access_level: z.enum(accessLevels).optional(),
  reason: reason,
  ticket: text(255).optional(),
  totp,
})

export const confirmBody = z.strictObject({ totp })

export const approvalBody = z.strictObject({
  target_user_id: id,
  access_level: z.enum(accessLevels).optional(),
  reason: reason.optional(),
  ticket: text(255).optional(),
})

export const requestsQuery = z.strictObject({
  waiting: z.enum(['true', 'false']).optional(),
  ...page,
})

const request = {
  id: string,
  actor_id: string,
  target_user_id: string,
  access_level: z.enum(accessLevels),
  reason: orNull(string),
  ticket: orNull(string),
  status: z.enum(requestStatuses),
  created_at: iso,
  expires_at: iso,
  session_id: orNull(string),
}

export const openedAnswer = z.object({ id: string, status: z.literal('pending'), expires_at: iso })

export const breakGlassesAnswer = listOf(z.object({ ...request, confirmed_by: orNull(string) }))

export const approvalAnswer = z.object({
  ...request,
  approved_by: z.array(string),
  denied_by: orNull(string),
  quorum: z.int(),
})

export const approvalsAnswer = listOf(approvalAnswer)
