import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openDatabase } from '../../examples/custom-store/database.ts'
import { drizzleStore } from '../../examples/custom-store/store.ts'
import { claimOf, sessionOf } from '../../src/testing/store/fixtures.ts'
import { changeOf, grantOf } from '../../src/testing/store/grant-fixtures.ts'
import { storeTests } from '../../src/testing/store-tests.ts'
import { runExample } from './processes.ts'

describe('the store written by hand', () => {
  storeTests({ describe, it }, () => drizzleStore(openDatabase(':memory:')))
})

it('keeps no grants, and so starts nothing under one', async () => {
  const store = drizzleStore(openDatabase(':memory:'))
  expect(store.grants).toBeUndefined()
  const claim = claimOf(sessionOf({ grantId: 'grant-1' }))
  const grant = changeOf(grantOf({ id: 'grant-1' }))
  await expect(store.claimSession({ ...claim, grant })).rejects.toThrow('keeps no grants')
  await store.close?.()
})

it('proves itself with one command, under node:test', { timeout: 60_000 }, async () => {
  const { code, printed } = await runExample('custom-store/prove.ts')
  expect(code, printed).toBe(0)
  expect(printed).toMatch(/fail 0/)
})

it('has one winner where several connections claim the same actor at once', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'onbehalf-custom-'))
  const file = join(folder, 'shared.db')
  const stores = Array.from({ length: 4 }, () => drizzleStore(openDatabase(file)))
  try {
    for (let round = 0; round < 10; round++) {
      const actorId = `actor-${round}`
      const claims = stores.flatMap((store) =>
        Array.from({ length: 5 }, (_, n) =>
          store.claimSession(claimOf(sessionOf({ actorId, targetUserId: `${round} ${n}` }))),
        ),
      )
      const outcomes = (await Promise.all(claims)).map(({ outcome }) => outcome)
      expect(outcomes.filter((outcome) => outcome === 'started')).toHaveLength(1)
    }
  } finally {
    for (const store of stores) await store.close?.()
    await rm(folder, { recursive: true })
  }
})

it('leaves the decision to its unique keys: a second active row of an actor can not be written', () => {
  const db = openDatabase(':memory:')
  const insert = (id: string) =>
    db.run(`insert into impersonation_sessions
      (id, actorId, targetUserId, accessLevel, breakGlass, transport, createdAt, expiresAt, status, activeActorKey)
      values ('${id}', 'root', 'alice', 'view', 0, 'session', 1, 2, 'active', 'root')`)
  return insert('a')
    .then(() => expect(insert('b')).rejects.toThrow())
    .finally(() => db.close())
})
