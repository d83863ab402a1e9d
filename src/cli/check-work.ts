import type { Check } from './checks.ts'
import type { Tools } from './command.ts'
import { count } from './output.ts'

/** The reaper comes round every 30 seconds, and so do retries at the latest. */
const lateMs = 120_000

/** How many sessions are active, and whether somebody closes those whose time is up. */
export async function sessions({ db, now }: Tools): Promise<Omit<Check, 'name'>> {
  const active = db.selectFrom('impersonation_sessions').where('status', '=', 'active')
  const n = await counted(active.select(({ fn }) => fn.countAll().as('n')))
  const late = await counted(
    active.where('expires_at', '<=', now() - lateMs).select(({ fn }) => fn.countAll().as('n')),
  )
  if (late === 0) return { status: 'ok', found: `${count(n, 'session')} active.` }
  return {
    status: 'warn',
    found: `${count(n, 'session')} active, and the time of ${late} was up more than two minutes ago.`,
    todo: 'Does a server with the engine run? It closes them, and lets nobody use them before.',
  }
}

/** Whether what has to be delivered goes out. */
export async function outbox({ db, now }: Tools): Promise<Omit<Check, 'name'>> {
  const all = db.selectFrom('impersonation_deliveries')
  const pending = all.where('status', '=', 'pending')
  const n = await counted(pending.select(({ fn }) => fn.countAll().as('n')))
  const late = await counted(
    pending.where('due_at', '<=', now() - lateMs).select(({ fn }) => fn.countAll().as('n')),
  )
  const dead = await counted(
    all.where('status', '=', 'dead').select(({ fn }) => fn.countAll().as('n')),
  )
  const found = [
    `${count(n, 'delivery').replace(/ys$/, 'ies')} pending`,
    ...(late > 0 ? [`${late} overdue by more than two minutes`] : []),
    ...(dead > 0 ? [`${dead} given up`] : []),
  ].join(', ')
  if (late + dead === 0) return { status: 'ok', found: `${found}.` }
  const todo = [
    ...(late > 0
      ? ['Overdue: does a server with a notifier, a sandbox or a sink for them run?']
      : []),
    ...(dead > 0 ? ['Given up: the column error of impersonation_deliveries says why.'] : []),
  ].join(' ')
  return { status: 'warn', found: `${found}.`, todo }
}

async function counted(query: { executeTakeFirst(): Promise<{ n: unknown } | undefined> }) {
  return Number((await query.executeTakeFirst())?.n)
}
