import * as z from 'zod'
import { formatNames } from '../audit/formats.ts'
import { ImpersonationError } from '../errors.ts'
import {
  accessLevels,
  endedReasons,
  eventActions,
  grantStatuses,
  requestStatuses,
  sessionStatuses,
  transports,
} from '../types.ts'

/**
 * Every body and query of the routes, and every answer, as zod sees it. This file is loaded with the
 * first call of a route that needs it; OpenAPI is made from the same schemas.
 */

const text = (most: number) =>
  z
    .string()
    .min(1)
    .max(most)
    .regex(/^[^\0]*$/, 'must not contain the NUL character')
const id = text(255)
const minutes = z.int().min(1)
const instant = z.union([z.iso.datetime({ offset: true }), z.string().regex(/^\d{1,15}$/)], {
  error: 'must be an instant: ISO 8601 with a zone, or milliseconds since the epoch',
})
const iso = z.iso.datetime()
const none = z.strictObject({})

const startBody = z.strictObject({
  target_user_id: id,
  // How many of its characters count is the core's rule; this only keeps it within reason.
  reason: text(20_000).optional(),
  ticket: text(255).optional(),
  duration_minutes: minutes.optional(),
  access_level: z.enum(accessLevels).optional(),
  target_org_id: id.optional(),
  client_id: text(255).optional(),
  grant_id: id.optional(),
  approval_id: id.optional(),
  transport: z
    .enum(['session'], { error: 'must be "session"; tokens are not switched on' })
    .optional(),
})

const stopBody = none.optional()
const extendBody = z.strictObject({ minutes })
const revokeBody = z.strictObject({ reason: text(500).optional() }).optional()
const noQuery = none

const grantBody = z.strictObject({
  target_user_id: id,
  access_level: z.enum(accessLevels).optional(),
  reason: text(20_000).optional(),
  ticket: text(255).optional(),
  duration_minutes: minutes.optional(),
})
const approveBody = z
  .strictObject({
    access_level: z.enum(accessLevels).optional(),
    duration_minutes: minutes.optional(),
  })
  .optional()
const denyBody = none.optional()

const totp = text(64)
const testSessionBody = z.strictObject({
  role: text(64),
  reason: text(20_000).optional(),
})
const breakGlassBody = z.strictObject({
  target_user_id: id,
  access_level: z.enum(accessLevels).optional(),
  reason: text(20_000),
  ticket: text(255).optional(),
  totp,
})
const confirmBody = z.strictObject({ totp })
const approvalBody = z.strictObject({
  target_user_id: id,
  access_level: z.enum(accessLevels).optional(),
  reason: text(20_000).optional(),
  ticket: text(255).optional(),
})

const page = {
  limit: z
    .string()
    .regex(/^([1-9]|[1-9]\d|1\d\d|200)$/, 'must be a whole number from 1 to 200')
    .optional(),
  cursor: text(1000).optional(),
}
const pageQuery = z.strictObject(page)
const requestsQuery = z.strictObject({ waiting: z.enum(['true', 'false']).optional(), ...page })

const sessionsQuery = z.strictObject({
  status: z.enum(sessionStatuses).optional(),
  actor_id: id.optional(),
  target_user_id: id.optional(),
  org_id: id.optional(),
  from: instant.optional(),
  to: instant.optional(),
  ...page,
})

const orNull = <T extends z.ZodType>(schema: T) => z.union([schema, z.null()])
const string = z.string()

const sessionAnswer = z.object({
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

const sessionsAnswer = z.object({
  items: z.array(sessionAnswer),
  next_cursor: orNull(string),
})

const startAnswer = z.object({
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
})

const stopAnswer = z.object({
  status: z.literal('stopped'),
  session_id: string,
  ended_reason: z.enum(endedReasons).optional(),
})

const statusAnswer = z.object({
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

const grantAnswer = z.object({
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
const grantsAnswer = z.object({ items: z.array(grantAnswer), next_cursor: orNull(string) })

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
const openedAnswer = z.object({ id: string, status: z.literal('pending'), expires_at: iso })
const breakGlassesAnswer = z.object({
  items: z.array(z.object({ ...request, confirmed_by: orNull(string) })),
  next_cursor: orNull(string),
})
const approvalAnswer = z.object({
  ...request,
  approved_by: z.array(string),
  denied_by: orNull(string),
  quorum: z.int(),
})
const approvalsAnswer = z.object({ items: z.array(approvalAnswer), next_cursor: orNull(string) })

const historyAnswer = z.object({
  items: z.array(
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
  ),
  next_cursor: orNull(string),
})

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

const auditQuery = z.strictObject({ ...auditFilter, ...page })
const exportQuery = z.strictObject({ ...auditFilter, format: z.enum(formatNames).optional() })

const auditAnswer = z.object({
  items: z.array(
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
  ),
  next_cursor: orNull(string),
})

const extendAnswer = z.object({ expires_at: iso })

export const problem = z.object({
  type: string,
  title: string,
  status: z.int(),
  code: string,
  detail: string.optional(),
  errors: z.array(z.object({ path: string, message: string })).optional(),
})

/** The shapes by the names that the routes table calls them. */
export const shapes = {
  startBody,
  stopBody,
  extendBody,
  revokeBody,
  noQuery,
  sessionsQuery,
  grantBody,
  approveBody,
  denyBody,
  pageQuery,
  testSessionBody,
  breakGlassBody,
  confirmBody,
  approvalBody,
  requestsQuery,
  openedAnswer,
  breakGlassesAnswer,
  approvalAnswer,
  approvalsAnswer,
  grantAnswer,
  grantsAnswer,
  historyAnswer,
  auditQuery,
  exportQuery,
  auditAnswer,
  sessionAnswer,
  sessionsAnswer,
  startAnswer,
  stopAnswer,
  statusAnswer,
  extendAnswer,
} as const

/** @throws {ImpersonationError} invalid_request, with every offending path */
export function parse<T extends z.ZodType>(
  schema: T,
  value: unknown,
  where: 'body' | 'query',
): z.infer<T> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw new ImpersonationError('invalid_request', {
    errors: result.error.issues.flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => ({
            path: pathTo([...issue.path, key], where),
            message: 'is unknown here',
          }))
        : [{ path: pathTo(issue.path, where), message: issue.message }],
    ),
  })
}

function pathTo(path: readonly PropertyKey[], where: 'body' | 'query'): string {
  const inside = path.map(String).join('.')
  if (inside === '') return where
  return where === 'query' ? `query.${inside}` : inside
}
