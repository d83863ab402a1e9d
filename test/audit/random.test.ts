import { expect, it, vi } from 'vitest'
import { createImpersonation, ImpersonationError, memoryStore } from '../../src/index.ts'
import type { RecordedEvent } from '../../src/stores/outbox.ts'
import type { Store } from '../../src/stores/store.ts'
import { createDice } from '../../src/testing/dice.ts'
import { assertSealed, auditKey, countActions } from '../support/audited.ts'
import { connect } from '../support/connect.ts'
import { dropDatabase, makeDatabase } from '../support/databases.ts'

/** OPERATIONS and SEED set how many run, and which. */
const operations = Number(process.env.OPERATIONS ?? 1_000)
const seed = Number(process.env.SEED ?? 20_300_601)
vi.setConfig({ testTimeout: 60_000 + operations * 100 })

interface User {
  readonly id: string
  admin: boolean
  active: boolean
}

async function play(inner: Store): Promise<void> {
  const dice = createDice(seed)
  const people = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map(
    (id, n): User => ({ id, admin: n < 4, active: true }),
  )
  let now = Date.UTC(2030, 0, 1)
  const noted: Promise<void>[] = []
  const store: Store = {
    ...inner,
    appendEvents(events: readonly RecordedEvent[]) {
      const stored = inner.appendEvents(events)
      noted.push(stored)
      return stored
    },
  }
  const engine = createImpersonation<User>({
    store,
    findUser: (id) => people.find((user) => user.id === id) ?? null,
    can: (user) => user.admin,
    onConflict: 'replace',
    rateLimit: false,
    audit: { key: auditKey },
    now: () => now,
  })
  /** What is put on record beside an answer is there. */
  async function settled(): Promise<void> {
    for (let n = 0; n < 5; n++) await new Promise(setImmediate)
    await Promise.all(noted.splice(0))
  }
  const somebody = () => engine.caller(dice.pick(people))
  const levels = ['view', 'interactive', 'full'] as const
  const acts = [
    () =>
      engine.sessions.start(somebody(), {
        targetUserId: dice.pick(people).id,
        reason: dice.pick(['ticket', 'a\0b', '\ud800', 'ü 🐘 "\\u0000"', ' ']),
        accessLevel: dice.pick(levels),
        durationMs: 60_000 * (1 + dice.roll(30)),
      }),
    () => engine.sessions.stop(somebody()),
    () => engine.sessions.extend(somebody(), 1_000 * dice.roll(600)),
    async () => {
      const active = await store.listSessions({ status: 'active' }, { limit: 9 })
      const session = active[dice.roll(active.length || 1)]
      if (session) await engine.sessions.revoke(somebody(), session.id, 'enough')
    },
    () => engine.sessions.status(somebody()),
    () => engine.endFor(dice.pick(people).id),
    () => engine.reap(),
    async () => {
      now += 1_000 * dice.roll(300)
    },
    async () => {
      const user = dice.pick(people)
      if (dice.oneIn(2)) user.active = !user.active || dice.oneIn(2)
      else user.admin = dice.oneIn(2)
      if (dice.oneIn(2)) await engine.userChanged(user.id)
    },
    // Two at once.
    () => Promise.all([act(0), act(dice.roll(4))]),
  ]
  async function act(which: number): Promise<void> {
    try {
      await acts[which]?.()
    } catch (error) {
      if (!(error instanceof ImpersonationError) || error.status >= 500) throw error
    }
  }

  let n = 0
  try {
    for (; n < operations; n++) {
      // Every other one is a start: without them there is nothing to do.
      await act(dice.oneIn(2) ? 0 : dice.roll(acts.length))
      if (n % Math.ceil(operations / 5) === 0) {
        await settled()
        await assertSealed(inner)
      }
    }
    await settled()
    const counts = countActions(await assertSealed(inner))
    for (const how of [
      'started',
      'replaced',
      'stopped',
      'expired',
      'revoked',
      'extended',
      'refused',
    ])
      expect(counts[`impersonation.${how}`], how).toBeGreaterThan(0)
  } catch (error) {
    throw new Error(`seed ${seed}, operation ${n}`, { cause: error })
  } finally {
    await engine.close()
  }
}

it(`after ${operations} operations on memoryStore the chain holds`, () => play(memoryStore()))

it(`after ${operations} operations on SQLite the chain holds`, async () => {
  const address = await makeDatabase('sqlite')
  await play(connect(address).store).finally(() => dropDatabase(address))
})
