import type { TokenFilter } from '../stores/tokens.ts'
import { json, listed } from './json.ts'
import type { Call, Route, Shapes } from './route.ts'
import { issuedTokenToWire, tokenToWire, userToWire } from './wire.ts'

type Shape<T extends keyof Shapes> = Shapes[T]['_zod']['output']

const dayMs = 24 * 60 * 60_000

async function issue({ apiTokens, caller, body }: Call): Promise<Response> {
  const { user_id, name, scopes, expires_in_days: days } = body as Shape<'tokenBody'>
  const durationMs = days === undefined ? undefined : days * dayMs
  const issued = await apiTokens.issue(caller, { userId: user_id, name, scopes, durationMs })
  return json(issuedTokenToWire(issued), 201)
}

const overlapOf = (body: unknown) => {
  const minutes = (body as Shape<'rotateBody'>)?.overlap_minutes
  return minutes === undefined ? undefined : minutes * 60_000
}

async function rotate({ apiTokens, caller, params, body }: Call): Promise<Response> {
  const issued = await apiTokens.rotate(caller, params.id ?? '', overlapOf(body))
  return json(issuedTokenToWire(issued), 201)
}

/** A program comes with nothing but the token that it wants another one for. */
const rotateOwn: Route['byApiToken'] = async ({ apiTokens, params, body }, token, meta) => {
  const issued = await apiTokens.rotateOwn(token, params.id ?? '', overlapOf(body), meta)
  return json(issuedTokenToWire(issued), 201)
}

function list({ apiTokens, caller, query }: Call): Promise<Response> {
  const asked = query as Shape<'tokensQuery'>
  const { user_id: userId, issued_by: issuedBy } = asked
  const filter: TokenFilter = {
    ...(userId !== undefined && { userId }),
    ...(issuedBy !== undefined && { issuedBy }),
  }
  return listed(
    asked,
    (page) => apiTokens.list(caller, filter, page),
    ({ createdAt, id }) => ({ at: createdAt, id }),
    tokenToWire,
  )
}

function mine({ apiTokens, caller, query }: Call): Promise<Response> {
  return listed(
    query as Shape<'pageQuery'>,
    (page) => apiTokens.mine(caller, page),
    ({ createdAt, id }) => ({ at: createdAt, id }),
    tokenToWire,
  )
}

/** The cursor is the host's: whatever it made to find its next page by. */
async function users({ apiTokens, caller, query }: Call): Promise<Response> {
  const { query: typed = '', limit = '50', cursor = null } = query as Shape<'usersQuery'>
  const ask = { query: typed, limit: Number(limit), cursor }
  const found = await apiTokens.users(caller, ask)
  return json({ items: found.users.map(userToWire), next_cursor: found.nextCursor })
}

const issuing = {
  method: 'POST',
  who: 'login',
  feature: 'apiTokens',
  answer: 'issuedTokenAnswer',
  status: 201,
  audited: true,
  pinned: true,
} as const

const issueCodes = [
  'not_allowed',
  'nested_impersonation',
  'insufficient_user_authentication',
  'impersonation_state_changed',
  'target_not_found',
  'target_inactive',
  'target_protected',
  'rate_limited',
] as const

/** API tokens, for those who issue them and for those whose they are. */
export const tokenRoutes: readonly Route[] = [
  {
    ...issuing,
    path: '/tokens',
    summary: 'Issue an API token for a user; the token is in this answer and nowhere else',
    body: 'tokenBody',
    codes: issueCodes,
    run: issue,
  },
  {
    method: 'GET',
    path: '/tokens',
    who: 'login',
    feature: 'apiTokens',
    summary: 'API tokens, newest first',
    query: 'tokensQuery',
    answer: 'tokensAnswer',
    status: 200,
    codes: ['not_allowed'],
    run: list,
  },
  {
    method: 'DELETE',
    path: '/tokens/:id',
    who: 'login',
    feature: 'apiTokens',
    summary: 'Take an API token back, and what it was rotated into',
    answer: 'tokenAnswer',
    status: 200,
    codes: ['not_allowed', 'token_not_found'],
    run: async ({ apiTokens, caller, params }) =>
      json(tokenToWire(await apiTokens.revoke(caller, params.id ?? ''))),
  },
  {
    ...issuing,
    path: '/tokens/:id/rotate',
    summary:
      'Put a new API token in the place of one, which goes on for a while; services do it by their token',
    body: 'rotateBody',
    codes: [...issueCodes, 'token_not_found', 'token_not_active'],
    run: rotate,
    byApiToken: rotateOwn,
  },
  {
    method: 'GET',
    path: '/users',
    who: 'login',
    feature: 'listUsers',
    summary: 'Users whom an API token may be issued for',
    query: 'usersQuery',
    answer: 'usersAnswer',
    status: 200,
    codes: ['not_allowed'],
    run: users,
  },
  {
    method: 'GET',
    path: '/me/tokens',
    who: 'login',
    feature: 'apiTokens',
    summary: 'The API tokens of the caller, newest first',
    query: 'pageQuery',
    answer: 'tokensAnswer',
    status: 200,
    codes: [],
    run: mine,
  },
  {
    method: 'DELETE',
    path: '/me/tokens/:id',
    who: 'login',
    feature: 'apiTokens',
    summary: 'Take one of the caller’s own API tokens back',
    answer: 'tokenAnswer',
    status: 200,
    codes: ['token_not_found', 'nested_impersonation'],
    run: async ({ apiTokens, caller, params }) =>
      json(tokenToWire(await apiTokens.revokeMine(caller, params.id ?? ''))),
  },
]
