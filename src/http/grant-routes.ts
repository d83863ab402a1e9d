import type { Grant } from '../types.ts'
import { json, listed } from './json.ts'
import type { Call, Route, Shapes } from './route.ts'
import { grantToWire, historyToWire } from './wire.ts'

type Shape<T extends keyof Shapes> = Shapes[T]['_zod']['output']

const toMs = (minutes: number | undefined) => (minutes === undefined ? undefined : minutes * 60_000)

async function request({ grants, caller, body }: Call): Promise<Response> {
  const { target_user_id, access_level, reason, ticket, duration_minutes } =
    body as Shape<'grantBody'>
  const grant = await grants.request(caller, {
    targetUserId: target_user_id,
    accessLevel: access_level,
    reason,
    ticket,
    durationMs: toMs(duration_minutes),
  })
  return json(grantToWire(grant), 201)
}

async function approve({ grants, caller, params, body }: Call): Promise<Response> {
  const { access_level, duration_minutes } = (body as Shape<'approveBody'>) ?? {}
  const lower = { accessLevel: access_level, durationMs: toMs(duration_minutes) }
  return json(grantToWire(await grants.approve(caller, params.id ?? '', lower)))
}

const place = ({ createdAt, id }: Grant) => ({ at: createdAt, id })

const own = {
  who: 'login',
  feature: 'consent',
  answer: 'grantAnswer',
  status: 200,
  codes: ['grant_not_found'],
} as const

const answer = {
  ...own,
  method: 'POST',
  codes: [
    'grant_not_found',
    'grant_expired',
    'grant_not_granted',
    'grant_already_in_use',
    'nested_impersonation',
    'insufficient_user_authentication',
  ],
} as const

/** Consent, asked for by the operator, given and taken back by the target; and what the target may know. */
export const grantRoutes: readonly Route[] = [
  {
    ...own,
    method: 'POST',
    path: '/grants',
    summary: 'Ask a user for consent',
    body: 'grantBody',
    status: 201,
    audited: true,
    codes: [
      'not_allowed',
      'self_impersonation',
      'target_protected',
      'target_not_found',
      'target_inactive',
      'nested_impersonation',
      'rate_limited',
    ],
    run: request,
  },
  {
    ...own,
    method: 'GET',
    path: '/grants',
    summary: 'What the caller has asked for, newest first',
    query: 'pageQuery',
    answer: 'grantsAnswer',
    codes: ['not_allowed', 'nested_impersonation'],
    run: ({ grants, caller, query }) =>
      listed(query as Shape<'pageQuery'>, (page) => grants.list(caller, page), place, grantToWire),
  },
  {
    ...own,
    method: 'DELETE',
    path: '/grants/:id',
    summary: 'Take a request or a consent back, as the operator who asked',
    run: async ({ grants, caller, params }) =>
      json(grantToWire(await grants.withdraw(caller, params.id ?? ''))),
  },
  {
    ...own,
    method: 'GET',
    path: '/me/grants',
    summary: 'What the caller was asked, newest first',
    query: 'pageQuery',
    answer: 'grantsAnswer',
    codes: [],
    run: ({ grants, caller, query }) =>
      listed(query as Shape<'pageQuery'>, (page) => grants.mine(caller, page), place, grantToWire),
  },
  {
    ...answer,
    path: '/me/grants/:id/approve',
    summary: 'Say yes, to no more than was asked',
    body: 'approveBody',
    run: approve,
  },
  {
    ...answer,
    path: '/me/grants/:id/deny',
    summary: 'Say no',
    body: 'denyBody',
    run: async ({ grants, caller, params }) =>
      json(grantToWire(await grants.deny(caller, params.id ?? ''))),
  },
  {
    ...own,
    method: 'DELETE',
    path: '/me/grants/:id',
    summary: 'Take the consent back; a live session ends with it',
    codes: ['grant_not_found', 'nested_impersonation'],
    run: async ({ grants, caller, params }) =>
      json(grantToWire(await grants.revoke(caller, params.id ?? ''))),
  },
  {
    method: 'GET',
    path: '/me/history',
    who: 'login',
    summary: 'Every time somebody was in the caller’s account, newest first',
    query: 'pageQuery',
    answer: 'historyAnswer',
    status: 200,
    codes: [],
    run: ({ history, caller, query }) =>
      listed(
        query as Shape<'pageQuery'>,
        (page) => history(caller, page),
        ({ session }) => ({ at: session.createdAt, id: session.id }),
        historyToWire,
      ),
  },
]
