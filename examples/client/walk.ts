import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { styleText } from 'node:util'
import { createClient, isClientError, problemOf } from 'onbehalf/client'
import { createApp, impersonation } from './server.ts'

/*
 * Starts the application and tells what a support script does with `onbehalf/client`: it acts as the
 * customer by a token, reads, is refused a write, stops. Ends 0 when every answer was as it should be, else 1.
 *
 *   npm run example client/walk.ts
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
  // Asked for each request: a real script would take its token from wherever it logs in.
  const client = createClient({ baseUrl, headers: () => ({ Authorization: 'Bearer root' }) })

  title('A script acts as Alice, for ten minutes, and says why')
  const alice = await client.impersonate('alice', {
    reason: 'Her invoices are missing',
    ticket: 'T-7',
    minutes: 10,
  })
  say(`acting as ${alice.user.name}, at the level ${alice.accessLevel}`)

  title('It reads what Alice sees')
  const invoices = await (await alice.fetch('/invoices')).json()
  say(`GET /invoices → ${invoices}`)
  assert.deepEqual(invoices, ['Invoice 7 of Alice'])

  title('It may look, and not touch')
  const answer = await alice.fetch('/notes', { method: 'POST' })
  const refused = await problemOf(answer)
  say(`POST /notes → ${answer.status} ${refused?.code}: ${refused?.message}`)
  assert.equal(refused?.code, 'grant_view_only')

  title('Root’s own login was never anybody else’s')
  const own = await (await client.fetch('/invoices')).json()
  say(`GET /invoices as root → ${JSON.stringify(own)}`)
  assert.deepEqual(own, [])
  assert.equal((await client.status()).isImpersonating, false)

  title('It stops, and nothing goes out as Alice any more')
  await alice.stop()
  const after = await alice.fetch('/invoices').catch((error) => error)
  assert(isClientError(after))
  say(`GET /invoices → ${after.code}`)
  assert.equal(after.code, 'impersonation_ended')
  assert.doesNotMatch(JSON.stringify([alice, after]), /eyJ/)
}

function title(text: string): void {
  console.log(styleText('bold', `\n${text}`))
}

function say(text: string): void {
  console.log(`  ${text}`)
}
