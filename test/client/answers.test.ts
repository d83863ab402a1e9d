import { expect, it } from 'vitest'
import { createClient, problemOf } from '../../src/client/index.ts'
import { refusal } from './world.ts'

/** A client whose every request is answered so. */
function answered(body: object, status: number, type = 'application/problem+json; charset=utf-8') {
  const ended: string[] = []
  const sent: (RequestInit | undefined)[] = []
  const client = createClient({
    baseUrl: 'https://app.example.com',
    onEnded: ({ code }) => ended.push(code),
    fetch: async (_, init) => {
      sent.push(init)
      return Response.json(body, { status, headers: { 'Content-Type': type } })
    },
  })
  return { client, ended, sent }
}

it.each([
  ['grant_revoked', 401, true],
  ['impersonation_expired', 401, true],
  ['impersonation_revoked', 401, true],
  ['impersonation_ended', 401, true],
  ['impersonation_state_changed', 409, true],
  ['impersonation_ended', 409, false],
  ['unauthenticated', 401, false],
  ['token_invalid', 401, false],
])('%s with %i tells of an end: %s', async (code, status, tells) => {
  const { client, ended } = answered({ code, session_id: 's1' }, status)
  expect((await client.fetch('/notes')).status).toBe(status)
  expect(ended).toEqual(tells ? [code] : [])
})

it('believes nothing that comes with a refusal', async () => {
  const { client, sent } = answered({ is_impersonating: false }, 500, 'application/json')
  expect(await refusal(client.status())).toMatchObject({ code: 'unexpected_answer', status: 500 })
  // Or it would be a page for people.
  expect(new Headers(sent[0]?.headers).get('accept')).toBe('application/json')
})

it('gives all that a problem document says, and keeps the answer out of logs', async () => {
  const document = {
    type: 'about:blank',
    title: 'This may never be done while impersonating.',
    status: 200,
    code: 'impersonation_write_blocked',
    detail: 'Paying is out of reach.',
    guardrail: 'payment',
  }
  const { client } = answered(document, 403)
  const response = await client.fetch('/pay', { method: 'POST' })
  const problem = await problemOf(response)
  expect(problem).toMatchObject({
    name: 'ClientError',
    message: document.detail,
    code: document.code,
    status: 403,
    detail: document.detail,
    errors: undefined,
    details: { guardrail: 'payment' },
  })
  expect(problem?.response).toBe(response)
  expect(Object.keys(problem ?? {})).not.toContain('response')
  expect(await response.json()).toEqual(document)
  expect(Object.isFrozen(client)).toBe(true)
})
