/**
 * A process with an engine that seals: starts, replaces, extends, stops, revokes and is refused, as often as it
 * is told or until it is killed. Runs as it is: Node strips the types.
 */
import { createImpersonation, ImpersonationError } from '../../src/index.ts'
import { auditKey, everyone, type Person } from './audited.ts'
import { connect } from './connect.ts'

const [address = '', rounds = 'Infinity'] = process.argv.slice(2)
const { store } = connect(JSON.parse(address), 2)
/** Refusals are stored beside the answer, or soon after it: whoever goes in peace waits for them. */
const noted: Promise<void>[] = []
const engine = createImpersonation<Person>({
  store: {
    ...store,
    appendEvents(events) {
      const stored = store.appendEvents(events)
      if (events.some(({ action }) => action === 'impersonation.refused')) noted.push(stored)
      return stored
    },
  },
  findUser: (id) => everyone.get(id) ?? null,
  can: (person) => person.id.startsWith('admin'),
  onConflict: 'replace',
  rateLimit: false,
  storeTimeoutMs: 10_000,
  audit: { key: auditKey },
})
const callers = [...everyone.values()].map((person) => engine.caller(person))
const random = (sides: number) => Math.floor(Math.random() * sides)
const pick = <T>(choices: readonly T[]) => choices[random(choices.length)] as T
const admins = callers.filter(({ user }) => user.id.startsWith('admin'))
const customers = callers.filter(({ user }) => !user.id.startsWith('admin'))

/** How starts came out: what the parent counts in the database. */
const done = { started: 0, refused: 0, failed: 0 }

async function attempt(what: 'start' | 'other', act: () => Promise<unknown>): Promise<void> {
  try {
    await act()
    if (what === 'start') done.started += 1
  } catch (error) {
    if (!(error instanceof ImpersonationError)) throw error
    if (error.status >= 500) done.failed += 1
    else if (what === 'start') done.refused += 1
  }
  process.send?.('step')
}

async function round(): Promise<void> {
  const admin = pick(admins)
  const targetUserId = pick(customers).user.id
  await attempt('start', () => engine.sessions.start(admin, { targetUserId, reason: 'a race' }))
  if (random(3) === 0) await attempt('other', () => engine.sessions.extend(admin, 60_000))
  // Whoever may not start is refused, and that is on record as well.
  if (random(3) === 0) {
    await attempt('start', () =>
      engine.sessions.start(pick(customers), { targetUserId, reason: 'no' }),
    )
  }
  const how = random(3)
  if (how === 0) await attempt('other', () => engine.sessions.stop(admin))
  if (how === 1) {
    const [session] = await store.listSessions({ status: 'active' }, { limit: 1 })
    if (session)
      await attempt('other', () => engine.sessions.revoke(pick(admins), session.id, 'over'))
  }
}

process.on('disconnect', () => process.exit())
process.send?.('ready')
if (rounds !== 'Infinity') {
  // All of them begin at the same time.
  await new Promise((resolve) => process.once('message', resolve))
}
const both = Array.from({ length: 2 }, async () => {
  for (let n = 0; n < Number(rounds); n++) await round()
})
await Promise.all(both)
while (noted.length < done.refused) await new Promise(setImmediate)
await Promise.all(noted)
// What is still owed is paid.
await engine.reap()
await engine.close()
process.send?.(done)
process.disconnect()
