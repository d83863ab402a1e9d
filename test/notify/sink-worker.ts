/**
 * A process that starts and ends sessions without end, and tells a sink of every event, until somebody
 * kills it. What the sink gets it writes into a file. It tells its parent of every step.
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
  audit: {
    sink: { send: async (event) => appendFileSync(outgoing, `${JSON.stringify(event)}\n`) },
  },
})

async function churn(n: number): Promise<never> {
  const caller = impersonation.caller({ id: `actor-${n}` })
  const stranger = impersonation.caller({ id: `nobody-${n}` })
  const ask = { targetUserId: `target-${n}`, reason: 'ticket 7' }
  for (;;) {
    await impersonation.sessions.start(caller, ask)
    process.send?.('started')
    await impersonation.sessions.start(stranger, ask).catch(() => undefined)
    // Another process may have been first.
    if (Math.random() < 0.5) await impersonation.sessions.stop(caller).catch(() => undefined)
    // Between a change and its delivery, and in the middle of one.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 30))
    process.send?.('waited')
  }
}

process.on('disconnect', () => process.exit())
await Promise.all([churn(0), churn(1)])
