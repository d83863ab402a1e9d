import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { styleText } from 'node:util'
import { createTransport } from 'nodemailer'
import { Secret, TOTP } from 'otpauth'
import { createPolicy } from './impersonation.ts'
import { openMailbox } from './mailbox.ts'
import { findPerson, testers } from './people.ts'
import { createApp } from './server.ts'

/*
 * Starts the application and a mail server, tells the story of consent, break-glass and a test session
 * by real requests and real mails, and ends: 0 when every answer was as it should be, else 1.
 *
 *   npm run example consent/walk.ts
 */

const mailbox = await openMailbox()
const transport = createTransport({ host: '127.0.0.1', port: mailbox.port, secure: false })
const impersonation = createPolicy(transport)
const server = createApp(impersonation).listen(0, '127.0.0.1')
await once(server, 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

try {
  await tell()
  console.log('\nEvery answer and every mail was as it should be.')
} catch (error) {
  console.error(styleText('red', `\n${error instanceof Error ? error.stack : error}`))
  process.exitCode = 1
} finally {
  server.close()
  server.closeAllConnections()
  await impersonation.close()
  transport.close()
  await mailbox.close()
}

async function tell(): Promise<void> {
  title('Nobody enters an account because they can')
  const intoAlice = { target_user_id: 'alice', reason: 'Her invoices are missing' }
  await ask('sam', 'POST /impersonation', intoAlice, 403, { code: 'grant_required' })

  title('Sam asks, and Alice is told')
  const wanted = { ...intoAlice, access_level: 'interactive', ticket: 'T-7' }
  const grant = await ask('sam', 'POST /impersonation/grants', wanted, 201, { status: 'pending' })
  await mail('alice', /Sam/)

  title('Alice allows less than was asked')
  const approve = `POST /impersonation/me/grants/${grant.id}/approve` as const
  await ask('sam', approve, {}, 404, { code: 'grant_not_found' })
  await ask('alice', approve, { access_level: 'view', duration_minutes: 60 }, 200, {
    status: 'granted',
    access_level: 'view',
  })
  await mail('sam', /Alice/)

  title('Sam enters, on her word and no further')
  const start = { ...intoAlice, grant_id: grant.id }
  const tooMuch = { ...start, access_level: 'interactive' }
  const code = { code: 'access_level_exceeds_grant' }
  await ask('sam', 'POST /impersonation', tooMuch, 403, code)
  const first = await ask('sam', 'POST /impersonation', start, 201, { access_level: 'view' })
  await mail('alice', /Sam/)
  await ask('sam', 'GET /whoami', null, 200, { id: 'alice', impersonated_by: 'sam' })
  await ask('sam', 'POST /notes', {}, 403, { code: 'grant_view_only' })

  title('Alice changes her mind: the session is over at once')
  await ask('alice', `DELETE /impersonation/me/grants/${grant.id}`, null, 200, {
    status: 'revoked',
  })
  await ask('sam', 'POST /notes', {}, 401, { code: 'grant_revoked' })
  await mail('sam', /Alice/)
  await mail('alice', /has left/)
  await ask('sam', 'POST /impersonation/stop', {}, 200, { session_id: first.session_id })

  title('The level that may do everything takes a colleague as well')
  const full = { ...intoAlice, access_level: 'full' }
  const second = await ask('sam', 'POST /impersonation/grants', full, 201, { status: 'pending' })
  await mail('alice', /Sam/)
  const yes = `POST /impersonation/me/grants/${second.id}/approve` as const
  await ask('alice', yes, {}, 200, { status: 'granted', access_level: 'full' })
  await mail('sam', /Alice/)
  const alone = { ...full, grant_id: second.id }
  await ask('sam', 'POST /impersonation', alone, 403, { code: 'second_admin_required' })
  const approval = await ask('sam', 'POST /impersonation/approvals', full, 201, {
    status: 'pending',
  })
  const colleague = `POST /impersonation/approvals/${approval.id}/approve` as const
  await ask('sam', colleague, {}, 403, {})
  await ask('lea', colleague, {}, 200, { status: 'approved' })
  const together = { ...alone, approval_id: approval.id }
  await ask('sam', 'POST /impersonation', together, 201, { access_level: 'full' })
  await mail('alice', /Sam/)
  await ask('sam', 'POST /notes', {}, 201, { written_by: 'alice' })
  await ask('sam', 'POST /impersonation/stop', {}, 200, { status: 'stopped' })
  await mail('alice', /has left/)

  title('An emergency: Bob is asleep, and wants no mail. Two people, two second factors')
  const emergency = { target_user_id: 'bob', reason: 'His shop sells at zero' }
  const open = 'POST /impersonation/break-glass'
  await ask('sam', open, { ...emergency, totp: 'no idea' }, 403, { code: 'second_factor_invalid' })
  const request = await ask('sam', open, { ...emergency, totp: codeOf('sam') }, 202, {
    status: 'pending',
  })
  const confirm = `POST /impersonation/break-glass/${request.id}/confirm` as const
  await ask('sam', confirm, { totp: codeOf('sam') }, 403, {})
  const glass = await ask('lea', confirm, { totp: codeOf('lea') }, 201, {
    target_user: { id: 'bob' },
  })
  await ask('sam', 'GET /whoami', null, 200, { id: 'bob', impersonated_by: 'sam' })
  await ask('sam', 'GET /impersonation/status', null, 200, { break_glass: true })
  await mail('bob', /Sam/)
  await ask('sam', 'POST /impersonation/stop', {}, 200, { session_id: glass.session_id })
  await mail('bob', /has left/)

  title('A test session: what a role sees, in nobody’s account')
  const test = { role: 'member', reason: 'What does a member see?' }
  await ask('sam', 'POST /impersonation/test-sessions', test, 201, {
    target_user: { role: 'tester', org_id: 'sandbox' },
  })
  await ask('sam', 'GET /whoami', null, 200, { role: 'tester', impersonated_by: 'sam' })
  await ask('sam', 'POST /impersonation/stop', {}, 200, { status: 'stopped' })

  title('What Alice and Bob can read ever after')
  const sam = { actor: { name: 'Sam', role: 'support' } }
  await ask('alice', 'GET /impersonation/me/history', null, 200, {
    items: [
      { ...sam, access_level: 'full', ended_reason: 'stopped' },
      { ...sam, access_level: 'view', ended_reason: 'grant_revoked' },
    ],
  })
  await ask('bob', 'GET /impersonation/me/history', null, 200, {
    items: [{ ...sam, break_glass: true, ended_reason: 'stopped' }],
  })

  while ((await impersonation.outbox.deliver()) > 0);
  assert.deepEqual(mailbox.received, [], 'mails that nobody expected')
  assert.equal(testers(), 0, 'testers who are still there')
}

function title(text: string): void {
  console.log(styleText('bold', `\n${text}`))
}

function codeOf(id: string): string {
  const secret = Secret.fromBase32(findPerson(id)?.totpSecret ?? '')
  return new TOTP({ secret }).generate()
}

async function ask(
  as: string,
  request: `${'GET' | 'POST' | 'DELETE'} /${string}`,
  body: object | null,
  status: number,
  expected: object,
): Promise<Record<string, unknown>> {
  const [method = '', path = ''] = request.split(' ')
  const response = await fetch(`${url}${path}`, {
    method,
    body: body && JSON.stringify(body),
    headers: {
      Authorization: `Bearer ${as}`,
      ...(body && { 'Content-Type': 'application/json' }),
    },
  })
  const answer = await response.json()
  console.log(`  ${as}: ${request} → ${response.status} ${answer.code ?? answer.status ?? ''}`)
  assert.equal(response.status, status, JSON.stringify(answer))
  assert.partialDeepStrictEqual(answer, expected)
  return answer
}

async function mail(id: string, expected: RegExp): Promise<void> {
  const { to, subject, text } = await mailbox.take(findPerson(id)?.email ?? '')
  console.log(styleText('cyan', `  mail to ${to}: ${subject}`))
  assert.match(`${subject}\n${text}`, expected)
}
