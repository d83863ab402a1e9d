import { expect, it } from 'vitest'
import { runExample } from './processes.ts'

it('the story of API tokens is as it is told', async () => {
  const { code, printed } = await runExample('tokens/walk.ts')
  expect(printed).toContain('Every answer was as it should be.')
  expect(code).toBe(0)
  expect(printed.match(/(?<= {2})(?:GET|POST|DELETE) .*/g)).toEqual([
    'GET /impersonation/users?query=ali as root → 200',
    'POST /impersonation/tokens as root → 201',
    'GET /impersonation/tokens as root → 200',
    'POST /files as the script → 201',
    'GET /files as the script → 403 insufficient_scope',
    'GET /files as alice → 200',
    'POST /impersonation/tokens as the script → 403 not_allowed',
    'GET /impersonation/me/tokens as the script → 403 not_allowed',
    'POST /impersonation/tokens as root → 201',
    'POST /impersonation/tokens/…/rotate as the old token → 201',
    'GET /files as the old token → 200',
    'GET /files as the new token → 200',
    'POST /impersonation/tokens/…/rotate as a copy of it → 409 token_not_active',
    'DELETE /impersonation/tokens/… as root → 200',
    'GET /files as the new token → 401 token_invalid',
    'DELETE /impersonation/tokens/… as root → 200',
    'POST /files as the script → 401 token_invalid',
    'GET /files as alice → 200',
    'GET /impersonation/audit?action=token.* as root → 200',
  ])
  expect(printed.match(/token\.\w+ by .*/g)).toEqual([
    'token.issued by root for alice: success',
    'token.issued by root for backup: success',
    'token.rotated by backup for backup: success',
    'token.revoked by root for backup: success',
    'token.revoked by root for backup: success',
    'token.revoked by root for alice: success',
  ])
  // How a token begins is in what everybody sees, and no more of it.
  expect(printed.match(/files_live_\w+/g)?.every((text) => text.length === 15)).toBe(true)
})
