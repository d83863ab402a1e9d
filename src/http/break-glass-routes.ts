import type { AccessRequest } from '../types.ts'
import { json, listed } from './json.ts'
import type { Call, Route, Shapes } from './route.ts'
import { breakGlassToWire, instant, startedToWire } from './wire.ts'

type Shape<T extends keyof Shapes> = Shapes[T]['_zod']['output']

async function open({ breakGlass, caller, body }: Call): Promise<Response> {
  const { target_user_id, access_level, reason, ticket, totp } = body as Shape<'breakGlassBody'>
  const { id, status, expiresAt } = await breakGlass.open(caller, {
    targetUserId: target_user_id,
    accessLevel: access_level,
    reason,
    ticket,
    totp,
  })
  return json({ id, status, expires_at: instant(expiresAt) }, 202)
}

/** The session is somebody else's: no cookie of it belongs into this browser. */
async function confirm({ breakGlass, caller, params, body, now }: Call): Promise<Response> {
  const { totp } = body as Shape<'confirmBody'>
  const started = await breakGlass.confirm(caller, params.id ?? '', totp)
  return json(startedToWire(started, now), 201)
}

function list({ breakGlass, caller, query }: Call): Promise<Response> {
  const asked = query as Shape<'requestsQuery'>
  const find = asked.waiting === 'true' ? breakGlass.waiting : breakGlass.list
  return listed(asked, (page) => find(caller, page), place, breakGlassToWire)
}

const place = ({ createdAt, id }: AccessRequest) => ({ at: createdAt, id })

const both = {
  who: 'login',
  feature: 'breakGlass',
} as const

const refusals = [
  'not_allowed',
  'nested_impersonation',
  'insufficient_user_authentication',
  'target_protected',
  'target_not_found',
  'target_inactive',
  'second_factor_invalid',
] as const

/** Without consent: one admin asks, another one confirms. */
export const breakGlassRoutes: readonly Route[] = [
  {
    ...both,
    method: 'POST',
    path: '/break-glass',
    summary: 'Ask to enter an account without consent',
    body: 'breakGlassBody',
    answer: 'openedAnswer',
    status: 202,
    audited: true,
    codes: [...refusals, 'self_impersonation', 'rate_limited'],
    run: open,
  },
  {
    ...both,
    method: 'GET',
    path: '/break-glass',
    summary: 'What the caller has asked for, or could confirm, newest first',
    query: 'requestsQuery',
    answer: 'breakGlassesAnswer',
    status: 200,
    codes: ['not_allowed', 'nested_impersonation'],
    run: list,
  },
  {
    ...both,
    method: 'POST',
    path: '/break-glass/:id/confirm',
    summary: 'Confirm as the second admin; the session opens for the first',
    body: 'confirmBody',
    answer: 'startAnswer',
    status: 201,
    audited: true,
    codes: [
      ...refusals,
      'second_admin_required',
      'request_not_found',
      'request_not_pending',
      'request_expired',
      'impersonation_already_active',
      'target_already_impersonated',
    ],
    run: confirm,
  },
]
