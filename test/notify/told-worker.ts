/**
 * A process that starts and ends sessions without end, and tells people of them, until somebody kills
 * it. What it sends it writes into a file. It tells its parent of every step.
 */
import { appendFileSync } from 'node:fs'
import { createImpersonation } from '../../src/impersonation.ts'
import { connect } from '../support/connect.ts'

const [address = '', outgoing = ''] = process.argv.slice(2)
const { store } = connect(JSON.parse(address), 2)

const impersonation = createImpersonation({
  store,
  findUser: (id) => ({ id }),
  can: ({ id }) => id.startsWith('actor'),
  rateLimit: false,
  storeTimeoutMs: 20_000,
  notifier: {
    channels: ({ id }) => [{ channel: 'mail', to: `${id}@example.com` }],
    send: ({ id, sessionId, kind }) =>
      appendFileSync(outgoing, `${JSON.stringify({ id, sessionId, kind })}\n`),
  },
})

async function churn(n: number): Promise<never> {
  const caller = impersonation.caller({ id: `actor-${n}` })
  const ask = { targetUserId: `target-${n}`, reason: 'ticket 7' }
  for (;;) {
    await impersonation.sessions.start(caller, ask)
    process.send?.('started')
    // Another process may have been first.
    if (Math.random() < 0.5) await impersonation.sessions.stop(caller).catch(() => undefined)
    // Between a change and its delivery, and in the middle of one.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 30))
    process.send?.('waited')
  }
}

process.on('disconnect', () => process.exit())
await Promise.all([churn(0), churn(1)])
