import type { Started } from '../lifecycle/opening.ts'
import type { SessionFilter } from '../stores/store.ts'
import { clearCookie, setCookie } from './cookie.ts'
import { json, listed } from './json.ts'
import { stoppedPage, wantsPage } from './page.ts'
import type { Call, Route, Shapes } from './route.ts'
import { instant, sessionToWire, startedToWire, stateToWire, stoppedToWire, toMs } from './wire.ts'

type Shape<T extends keyof Shapes> = Shapes[T]['_zod']['output']

async function start({ sessions, caller, body, now, cookie }: Call): Promise<Response> {
  const {
    target_user_id,
    reason,
    ticket,
    duration_minutes,
    access_level,
    target_org_id,
    client_id,
    grant_id,
    approval_id,
    transport,
  } = body as Shape<'startBody'>
  const started = await sessions.start(caller, {
    targetUserId: target_user_id,
    reason,
    ticket,
    durationMs: duration_minutes === undefined ? undefined : duration_minutes * 60_000,
    accessLevel: access_level,
    targetOrgId: target_org_id,
    clientId: client_id,
    grantId: grant_id,
    approvalId: approval_id,
    transport,
  })
  return opened(started, { now, cookie })
}

async function testSession({ testSessions, caller, body, now, cookie }: Call): Promise<Response> {
  const { role, reason } = body as Shape<'testSessionBody'>
  return opened(await testSessions.start(caller, { role, reason }), { now, cookie })
}

/** A session that the caller's own browser goes on in. */
function opened(
  started: Started<unknown>,
  { now, cookie }: Pick<Call, 'now' | 'cookie'>,
): Response {
  const { id, expiresAt } = started.session
  // A token is carried by a program: this browser stays what it is.
  if (started.accessToken !== undefined) return json(startedToWire(started, now), 201)
  return json(startedToWire(started, now), 201, {
    'Set-Cookie': setCookie(cookie.secure, id, expiresAt - now),
    'Clear-Site-Data': '"cache"',
  })
}

async function stop({ request, sessions, caller, cookie }: Call): Promise<Response> {
  const session = await sessions.stop(caller)
  const response = wantsPage(request.headers.get('accept'))
    ? stoppedPage()
    : json(stoppedToWire(session))
  response.headers.set('Set-Cookie', clearCookie(cookie.name))
  response.headers.set('Clear-Site-Data', '"cache"')
  return response
}

/** With its token a program ends its session; the browser of the actor has nothing to do with it. */
const stopByToken: Route['byToken'] = async ({ tokenSessions }, session, meta) =>
  json(stoppedToWire(await tokenSessions.stop(session, meta)))

const statusByToken: Route['byToken'] = async ({ tokenSessions }, session) =>
  json(stateToWire(await tokenSessions.status(session)))

async function extend({ sessions, caller, body, now, cookie }: Call): Promise<Response> {
  const { minutes } = body as Shape<'extendBody'>
  const session = await sessions.extend(caller, minutes * 60_000)
  return json({ expires_at: instant(session.expiresAt) }, 200, {
    'Set-Cookie': setCookie(cookie.secure, session.id, session.expiresAt - now),
  })
}

function list({ sessions, caller, query }: Call): Promise<Response> {
  const asked = query as Shape<'sessionsQuery'>
  const filter: SessionFilter = withoutUndefined({
    status: asked.status,
    actorId: asked.actor_id,
    targetUserId: asked.target_user_id,
    orgId: asked.org_id,
    from: toMs(asked.from),
    to: toMs(asked.to),
  })
  return listed(
    asked,
    (page) => sessions.list(caller, filter, page),
    ({ createdAt, id }) => ({ at: createdAt, id }),
    sessionToWire,
  )
}

async function revoke({ sessions, caller, params, body }: Call): Promise<Response> {
  const note = (body as Shape<'revokeBody'>)?.reason ?? null
  return json(sessionToWire(await sessions.revoke(caller, params.id ?? '', note)))
}

const startCodes = [
  'insufficient_user_authentication',
  'not_allowed',
  'self_impersonation',
  'target_protected',
  'target_not_found',
  'target_inactive',
  'nested_impersonation',
  'impersonation_already_active',
  'target_already_impersonated',
  'impersonation_state_changed',
  'rate_limited',
  'grant_required',
  'grant_not_found',
  'grant_not_granted',
  'grant_already_in_use',
  'grant_expired',
  'access_level_exceeds_grant',
  'second_admin_required',
  'request_not_found',
  'request_not_pending',
  'request_expired',
] as const

const testSessionCodes = [
  'insufficient_user_authentication',
  'not_allowed',
  'nested_impersonation',
  'impersonation_already_active',
  'impersonation_state_changed',
  'rate_limited',
] as const

const started = {
  method: 'POST',
  who: 'login',
  body: 'startBody',
  answer: 'startAnswer',
  status: 201,
  pinned: true,
  audited: true,
  codes: startCodes,
  run: start,
} as const

export const sessionRoutes: readonly Route[] = [
  { ...started, path: '/', summary: 'Start to impersonate a user' },
  { ...started, path: '/start', summary: 'Start to impersonate a user' },
  {
    ...started,
    path: '/test-sessions',
    feature: 'sandbox',
    summary: 'Start as a user who is made for it',
    body: 'testSessionBody',
    codes: testSessionCodes,
    run: testSession,
  },
  {
    method: 'POST',
    path: '/stop',
    who: 'login',
    summary: 'Stop, or acknowledge that the impersonation has ended',
    body: 'stopBody',
    answer: 'stopAnswer',
    status: 200,
    codes: ['not_impersonating'],
    run: stop,
    byToken: stopByToken,
  },
  {
    method: 'GET',
    path: '/status',
    who: 'login',
    summary: 'Who is impersonated by the caller, if anybody',
    answer: 'statusAnswer',
    status: 200,
    codes: [],
    run: async ({ sessions, caller }) => json(stateToWire(await sessions.status(caller))),
    byToken: statusByToken,
  },
  {
    method: 'POST',
    path: '/extend',
    who: 'login',
    summary: 'Give the session more time, at most to the cap',
    body: 'extendBody',
    answer: 'extendAnswer',
    status: 200,
    pinned: true,
    codes: ['not_allowed', 'not_impersonating', 'impersonation_state_changed'],
    run: extend,
  },
  {
    method: 'GET',
    path: '/sessions',
    who: 'login',
    summary: 'Sessions, newest first',
    query: 'sessionsQuery',
    answer: 'sessionsAnswer',
    status: 200,
    codes: ['not_allowed'],
    run: list,
  },
  {
    method: 'GET',
    path: '/sessions/:id',
    who: 'login',
    summary: 'One session',
    answer: 'sessionAnswer',
    status: 200,
    codes: ['not_allowed', 'session_not_found'],
    run: async ({ sessions, caller, params }) =>
      json(sessionToWire(await sessions.get(caller, params.id ?? ''))),
  },
  {
    method: 'DELETE',
    path: '/sessions/:id',
    who: 'login',
    summary: 'End a session',
    answer: 'sessionAnswer',
    status: 200,
    codes: ['not_allowed', 'session_not_found'],
    run: revoke,
  },
  {
    method: 'POST',
    path: '/sessions/:id/revoke',
    who: 'login',
    summary: 'End a session and say why',
    body: 'revokeBody',
    answer: 'sessionAnswer',
    status: 200,
    codes: ['not_allowed', 'session_not_found'],
    run: revoke,
  },
  {
    method: 'GET',
    path: '/jwks.json',
    who: 'anybody',
    feature: 'tokens',
    summary: 'The public keys of impersonation tokens, for verifiers elsewhere',
    answer: 'jwksAnswer',
    status: 200,
    codes: [],
    run: async ({ tokenSessions }) => json(await tokenSessions.jwks()),
  },
]

function withoutUndefined<T extends object>(
  record: T,
): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(record).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> }
}
