import { isDeepStrictEqual } from 'node:util'

/** One request of the story, the answer it has to get, and why it is told. */
export interface Step {
  readonly why: string
  /** The shell variable with the token of whoever asks. */
  readonly as: 'ADMIN' | 'ALICE'
  readonly request: `${'GET' | 'POST'} /${string}`
  readonly body?: object
  readonly status: number
  /** Members that the answer has to have; others may be there. */
  readonly answer: object
  /** What `X-Impersonated-User-Id` has to say; null: no such header. */
  readonly impersonating?: string | null
}

/** A support engineer helps Alice, from the login to the list of sessions. */
export const story: readonly Step[] = [
  {
    why: 'The admin, as themselves: their own organisation, their own notes.',
    as: 'ADMIN',
    request: 'GET /whoami',
    status: 200,
    answer: { id: 'root', org_id: 'staff', role: 'superuser', impersonated_by: null },
  },
  {
    why: 'Alice, who owns acme, may not impersonate anybody.',
    as: 'ALICE',
    request: 'POST /impersonation',
    body: { target_user_id: 'bob', reason: 'just curious' },
    status: 403,
    answer: { code: 'not_allowed' },
  },
  {
    why: 'The admin finds the user to help,',
    as: 'ADMIN',
    request: 'GET /admin/users',
    status: 200,
    answer: {},
  },
  {
    why: 'and starts to look at the application as Alice: viewing only, which is the default.',
    as: 'ADMIN',
    request: 'POST /impersonation',
    body: { target_user_id: 'alice', reason: 'Sees no notes since Monday', ticket: 'T-1042' },
    status: 201,
    answer: { status: 'active', access_level: 'view' },
  },
  {
    why: 'The same token, but now the request runs as Alice. Every answer says so in its headers.',
    as: 'ADMIN',
    request: 'GET /whoami',
    status: 200,
    answer: { id: 'alice', org_id: 'acme', role: 'owner', impersonated_by: 'root' },
    impersonating: 'alice',
  },
  {
    why: "Alice's notes, by a handler that knows nothing of impersonation.",
    as: 'ADMIN',
    request: 'GET /notes',
    status: 200,
    answer: { items: [{ id: 2, text: 'Renew the lease in May', written_by: 'alice' }] },
    impersonating: 'alice',
  },
  {
    why: "Nothing of the admin's own powers is left meanwhile.",
    as: 'ADMIN',
    request: 'GET /admin/users',
    status: 403,
    answer: { title: 'For superusers only' },
    impersonating: 'alice',
  },
  {
    why: 'Viewing only: a write is refused before any handler runs.',
    as: 'ADMIN',
    request: 'POST /notes',
    body: { text: 'Written while viewing' },
    status: 403,
    answer: { code: 'grant_view_only' },
    impersonating: 'alice',
  },
  {
    why: 'To write, start again at the level "interactive". It replaces the first session.',
    as: 'ADMIN',
    request: 'POST /impersonation',
    body: {
      target_user_id: 'alice',
      reason: 'Adds the missing note for her',
      ticket: 'T-1042',
      access_level: 'interactive',
      duration_minutes: 10,
    },
    status: 201,
    answer: { status: 'active', access_level: 'interactive' },
  },
  {
    why: 'The write succeeds, and the row names both people.',
    as: 'ADMIN',
    request: 'POST /notes',
    body: { text: 'Call the landlord' },
    status: 201,
    answer: { written_by: 'alice', impersonated_by: 'root', impersonation_target: 'alice' },
    impersonating: 'alice',
  },
  {
    why: 'Some writes nobody may do as somebody else, at any level: this one by its path,',
    as: 'ADMIN',
    request: 'POST /account/password',
    body: { password: 'a new one' },
    status: 403,
    answer: { code: 'impersonation_write_blocked' },
    impersonating: 'alice',
  },
  {
    why: "and this one because its handler says impersonation.guard('payment').",
    as: 'ADMIN',
    request: 'POST /plan',
    status: 403,
    answer: { code: 'impersonation_write_blocked', guardrail: 'payment' },
    impersonating: 'alice',
  },
  {
    why: 'Alice notices nothing: the same route works for herself.',
    as: 'ALICE',
    request: 'POST /plan',
    status: 200,
    answer: { org_id: 'acme', plan: 'pro' },
  },
  {
    why: 'Where do I stand?',
    as: 'ADMIN',
    request: 'GET /impersonation/status',
    status: 200,
    answer: { is_impersonating: true, target_user_id: 'alice', access_level: 'interactive' },
  },
  {
    why: 'Enough.',
    as: 'ADMIN',
    request: 'POST /impersonation/stop',
    status: 200,
    answer: { status: 'stopped' },
  },
  {
    why: 'The admin again, with the token that was never swapped.',
    as: 'ADMIN',
    request: 'GET /whoami',
    status: 200,
    answer: { id: 'root', org_id: 'staff', impersonated_by: null },
  },
  {
    why: 'What is on record: the two sessions, newest first, with who, whom, why and how they ended.',
    as: 'ADMIN',
    request: 'GET /impersonation/sessions?limit=2',
    status: 200,
    answer: {
      items: [
        { actor_id: 'root', target_user_id: 'alice', ticket: 'T-1042', status: 'stopped' },
        { actor_id: 'root', target_user_id: 'alice', ticket: 'T-1042', status: 'replaced' },
      ],
    },
  },
]

/** @throws {Error} saying what was expected and what came */
export function check(step: Step, status: number, headers: Headers, body: unknown): void {
  const { impersonating = null } = step
  const told = headers.get('X-Impersonated-User-Id')
  if (status === step.status && told === impersonating && isIn(step.answer, body)) return
  throw new Error(
    `Unexpected answer to ${step.request} by ${step.as}.
expected: ${step.status}, X-Impersonated-User-Id: ${impersonating}, ${JSON.stringify(step.answer)}
got:      ${status}, X-Impersonated-User-Id: ${told}, ${JSON.stringify(body)}`,
  )
}

function isIn(part: unknown, whole: unknown): boolean {
  if (typeof part !== 'object' || part === null) return isDeepStrictEqual(part, whole)
  if (typeof whole !== 'object' || whole === null) return false
  if (Array.isArray(part) && (whole as unknown[]).length !== part.length) return false
  return Object.entries(part).every(([key, value]) =>
    isIn(value, (whole as Record<string, unknown>)[key]),
  )
}
