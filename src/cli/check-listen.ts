import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import type { Check } from './checks.ts'
import type { Tools } from './command.ts'

const patienceMs = 2_000

/** Whether what one connection notifies, another hears: a pooler in transaction mode swallows it. */
export async function hearing({ db, listen }: Tools): Promise<Omit<Check, 'name'>> {
  const client = listen?.()
  if (!client) return { status: 'ok', found: 'not needed here.' }
  const channel = `onbehalf_doctor_${randomUUID()}`
  let timer: NodeJS.Timeout | undefined
  try {
    const heard = new Promise<boolean>((resolve) => {
      client.on('notification', (message) => {
        if (message.channel === channel) resolve(true)
      })
      client.on('error', () => resolve(false))
      timer = setTimeout(() => resolve(false), patienceMs)
    })
    await client.connect()
    await client.query(`listen "${channel}"`)
    await sql`select pg_notify(${channel}, '')`.execute(db)
    if (await heard) return { status: 'ok', found: 'a notification was heard.' }
    return {
      status: 'warn',
      found: 'a notification was not heard, as behind a pooler in transaction mode.',
      todo: 'Give the option listen of kyselyStore a connection to Postgres itself, or servers hear of a revocation only after revocationLagMs.',
    }
  } finally {
    clearTimeout(timer)
    // The connection may be dead without knowing it: nobody waits for its farewell.
    client.end().catch(() => {})
  }
}
