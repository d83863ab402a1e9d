import * as z from 'zod'
import { formatNames } from '../../audit/formats.ts'
import { eventActions } from '../../types.ts'
import { id, instant, iso, listOf, orNull, page, string } from './parts.ts'

/** What is on record. */

const auditFilter = {
  action: z
    .string()
    .refine(isActionFilter, 'must be an action, or how some begin with a trailing *')
    .optional(),
  actor_id: id.optional(),
  target_user_id: id.optional(),
  session_id: id.optional(),
  from: instant.optional(),
  to: instant.optional(),
}

/** What no event can match is a mistake, not an empty list. */
function isActionFilter(value: string): boolean {
  const prefix = value.endsWith('*') ? value.slice(0, -1) : null
  return eventActions.some((action) =>
    prefix === null ? action === value : action.startsWith(prefix),
  )
}

export const auditQuery = z.strictObject({ ...auditFilter, ...page })
export const exportQuery = z.strictObject({
  ...auditFilter,
  format: z.enum(formatNames).optional(),
})

export const auditAnswer = listOf(
  z.object({
    id: string,
    at: iso,
    action: z.enum(eventActions),
    outcome: z.enum(['success', 'refused']),
    code: string.optional(),
    actor_id: orNull(string),
    target_user_id: orNull(string),
    actor_org_id: orNull(string),
    target_org_id: orNull(string),
    session_id: orNull(string),
    grant_id: orNull(string),
    reason: orNull(string),
    ip_address: orNull(string),
    user_agent: orNull(string),
    client_id: orNull(string),
    request_id: orNull(string),
    details: z.record(string, z.union([string, z.number(), z.boolean(), z.null()])),
  }),
)

export const actionsAnswer = listOf(
  z.object({
    seq: z.int(),
    at: iso,
    method: string,
    route: orNull(string),
    path: string,
    status: orNull(z.int()),
    duration_ms: orNull(z.int()),
    request_id: orNull(string),
  }),
)
