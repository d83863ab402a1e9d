import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { styleText } from 'node:util'
import { createApp, impersonation } from './server.ts'

/*
 * Starts the application and tells the life of two API tokens: one that an admin issues for a customer's
 * script, one that a service rotates by itself. Ends 0 when every answer was as it should be, else 1.
 *
 *   npm run example tokens/walk.ts
 */

const server = createApp().listen(0, '127.0.0.1')
await once(server, 'listening')
const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

try {
  await tell()
  console.log('\nEvery answer was as it should be.')
} catch (error) {
  console.error(styleText('red', `\n${error instanceof Error ? error.stack : error}`))
  process.exitCode = 1
} finally {
  server.close()
  server.closeAllConnections()
  await impersonation.close()
}

async function tell(): Promise<void> {
  title('Root looks for Alice, and issues a token for her upload script')
  const found = await ask('root', 'GET /impersonation/users?query=ali', 200)
  const [alice] = found.items
  const issued = await ask('root', 'POST /impersonation/tokens', 201, {
    user_id: alice.id,
    name: 'upload script',
    scopes: ['upload'],
    expires_in_days: 30,
  })
  // Shown once: it goes into the script's settings, and this story does not print it.
  const script: string = issued.token
  say(`“${issued.name}” of ${alice.name}, good for ${issued.scopes}, begins with ${issued.prefix}`)

  title('From now on everybody sees how it begins, and nobody what it is')
  const listed = await ask('root', 'GET /impersonation/tokens', 200)
  assert.equal(listed.items[0].prefix, issued.prefix)
  assert(!JSON.stringify(listed).includes(script))

  title('The script uploads, as Alice')
  const file = await ask(script, 'POST /files', 201, { name: 'invoice.pdf' })
  say(`${file.name}, by ${file.by}`)
  assert.equal(file.by, 'Alice')

  title('What its scope does not cover is closed to it, and open to her own login')
  const refused = await ask(script, 'GET /files', 403)
  assert.equal(refused.code, 'insufficient_scope')
  await ask('alice', 'GET /files', 200)

  title('It is no login: it can issue, list and take back nothing')
  await ask(script, 'POST /impersonation/tokens', 403, {})
  await ask(script, 'GET /impersonation/me/tokens', 403)

  title('The nightly backup has a token for a day, and gets the next one by itself')
  const first = await ask('root', 'POST /impersonation/tokens', 201, {
    user_id: 'backup',
    name: 'nightly backup',
    scopes: ['read'],
  })
  const rotate = `POST /impersonation/tokens/${first.id}/rotate`
  const second = await ask(first.token, rotate, 201, { overlap_minutes: 5 }, 'the old token')
  say(`${first.prefix}… goes on for five minutes beside ${second.prefix}…`)
  await ask(first.token, 'GET /files', 200, undefined, 'the old token')
  await ask(second.token, 'GET /files', 200, undefined, 'the new token')

  title('It is rotated once: of the service and whoever copied its token, the second is refused')
  await ask(first.token, rotate, 409, {}, 'a copy of it')

  title('Root takes them back, the first of the two with what it was rotated into')
  await ask('root', `DELETE /impersonation/tokens/${first.id}`, 200)
  await ask(second.token, 'GET /files', 401, undefined, 'the new token')
  await ask('root', `DELETE /impersonation/tokens/${issued.id}`, 200)
  await ask(script, 'POST /files', 401, { name: 'another.pdf' })
  assert.equal((await ask('alice', 'GET /files', 200)).length, 1)

  title('And all of it is on record')
  const { items } = await ask('root', 'GET /impersonation/audit?action=token.*', 200)
  for (const { action, actor_id, target_user_id, outcome } of items.reverse())
    say(`${action} by ${actor_id} for ${target_user_id ?? actor_id}: ${outcome}`)
  for (const secret of [script, first.token, second.token])
    assert(!JSON.stringify(items).includes(secret))
}

/** Asks with a credential, which is a token or, in this application, a user's id. */
async function ask(
  credential: string,
  route: string,
  status: number,
  body?: object,
  as = credential.length > 20 ? 'the script' : credential,
) {
  const [method = '', path = ''] = route.split(' ')
  const response = await fetch(baseUrl + path, {
    method,
    headers: {
      Authorization: `Bearer ${credential}`,
      ...(body && { 'Content-Type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  })
  const answer = await response.json()
  const shown = path.replace(/[\da-f]{8}-[\da-f-]{27}/, '…')
  say(`${method} ${shown} as ${as} → ${response.status}${answer.code ? ` ${answer.code}` : ''}`)
  assert.equal(response.status, status, JSON.stringify(answer))
  return answer
}

function title(text: string): void {
  console.log(styleText('bold', `\n${text}`))
}

function say(text: string): void {
  console.log(`  ${text}`)
}
