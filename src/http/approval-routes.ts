import type { AccessRequest } from '../types.ts'
import { json, listed } from './json.ts'
import type { Call, Route, Shapes } from './route.ts'
import { approvalToWire } from './wire.ts'

type Shape<T extends keyof Shapes> = Shapes[T]['_zod']['output']

async function request({ approvals, caller, body, quorum }: Call): Promise<Response> {
  const { target_user_id, access_level, reason, ticket } = body as Shape<'approvalBody'>
  const asked = { targetUserId: target_user_id, accessLevel: access_level, reason, ticket }
  return json(approvalToWire(await approvals.request(caller, asked), quorum), 201)
}

function list({ approvals, caller, query, quorum }: Call): Promise<Response> {
  const asked = query as Shape<'requestsQuery'>
  const find = asked.waiting === 'true' ? approvals.waiting : approvals.list
  return listed(
    asked,
    (page) => find(caller, page),
    ({ createdAt, id }) => ({ at: createdAt, id }),
    (each) => approvalToWire(each, quorum),
  )
}

type Verb = 'approve' | 'deny' | 'withdraw'

const answered =
  (verb: Verb) =>
  async ({ approvals, caller, params, quorum }: Call): Promise<Response> => {
    const after: AccessRequest = await approvals[verb](caller, params.id ?? '')
    return json(approvalToWire(after, quorum))
  }

const own = {
  who: 'login',
  feature: 'approvals',
  answer: 'approvalAnswer',
  status: 200,
} as const

const answer = {
  ...own,
  method: 'POST',
  body: 'denyBody',
  codes: [
    'not_allowed',
    'nested_impersonation',
    'insufficient_user_authentication',
    'request_not_found',
    'request_not_pending',
    'request_expired',
    'second_admin_required',
    'target_protected',
    'target_not_found',
    'target_inactive',
  ],
} as const

/** Four eyes: asked for by one operator, answered by colleagues. */
export const approvalRoutes: readonly Route[] = [
  {
    ...own,
    method: 'POST',
    path: '/approvals',
    summary: 'Ask colleagues for one start',
    body: 'approvalBody',
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
    path: '/approvals',
    summary: 'What the caller has asked for, or could approve, newest first',
    query: 'requestsQuery',
    answer: 'approvalsAnswer',
    codes: ['not_allowed', 'nested_impersonation'],
    run: list,
  },
  {
    ...answer,
    path: '/approvals/:id/approve',
    summary: 'Say yes as a colleague',
    run: answered('approve'),
  },
  {
    ...answer,
    path: '/approvals/:id/deny',
    summary: 'Say no as a colleague; one no is enough',
    run: answered('deny'),
  },
  {
    ...own,
    method: 'DELETE',
    path: '/approvals/:id',
    summary: 'Take the question back, as the operator who asked',
    codes: ['request_not_found'],
    run: answered('withdraw'),
  },
]
