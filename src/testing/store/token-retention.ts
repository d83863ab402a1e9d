import assert from 'node:assert/strict'
import { allEvents, minute, type Rule, same, t0 } from './fixtures.ts'
import { before, day, endOf, eraseAll, pruneAll, whereRetained } from './retention-fixtures.ts'
import {
  allTokens,
  bothWays,
  hashOf,
  issue,
  revocationOf,
  stepOf,
  tokenOf,
} from './token-fixtures.ts'
import { sameInAnyOrder } from './trail-fixtures.ts'

export function tokenRetentionRules(someRule: Rule): void {
  const rule = whereRetained(someRule)

  rule('API tokens go that were revoked or had expired before', async (store, retention) => {
    const { tokens } = store
    if (!tokens) return
    const [past, late] = [before - 1, before + day]
    const gone = [
      await issue(tokens, { expiresAt: past }),
      await issue(tokens, { expiresAt: late, revokedAt: past }),
      await issue(tokens, { expiresAt: past, revokedAt: past, createdAt: late }),
      await issue(tokens, { expiresAt: past, revokedAt: late }),
    ]
    const stay = [
      await issue(tokens, { expiresAt: before }),
      await issue(tokens, { expiresAt: before, revokedAt: before }),
      await issue(tokens, { expiresAt: late, replacedBy: 'token-x', lastUsedAt: past }),
    ]
    await pruneAll(store, retention)
    sameInAnyOrder(await allTokens(tokens), stay)
    for (const token of gone) same(await bothWays(tokens, token), [null, null])
    for (const token of stay) same(await bothWays(tokens, token), [token, token])
  })

  rule('an API token that is gone leaves its id and its hash', async (store, retention) => {
    const { tokens } = store
    if (!tokens) return
    const { id } = await issue(tokens, { expiresAt: before - 1 })
    await pruneAll(store, retention)
    const again = tokenOf({ id, expiresAt: before })
    assert.equal(await tokens.changeToken(stepOf(again), []), false)
    await tokens.touchTokens([{ id, at: t0 }], 0)
    same(await allTokens(tokens), [])
    assert.equal(await tokens.createToken(again, hashOf(id), [], null), 'created')
    same(await bothWays(tokens, again), [again, again])
  })

  rule('one unit takes no more API tokens than its limit', async (store, retention) => {
    const { tokens } = store
    if (!tokens) return
    for (let n = 0; n < 7; n++) {
      const revokedAt = n % 2 ? t0 : null
      await issue(tokens, { expiresAt: n % 3 ? before - 1 : before, revokedAt })
    }
    const stored = await allTokens(tokens)
    const kept = stored.filter((one) => one.expiresAt === before && one.revokedAt === null)
    for (let [more, there] = [true, stored.length]; more; ) {
      // The events of the seven are older, and go in twos as well.
      ;({ more } = await retention.prune(before, await endOf(store), 2))
      const left = (await allTokens(tokens)).length
      assert.ok(there - left <= 2, `${there} and then ${left}`)
      there = left
    }
    sameInAnyOrder(await allTokens(tokens), kept)
    same(await allEvents(store), [])
  })

  rule(
    'API tokens lose their name with their owner, and nothing else',
    async (store, retention) => {
      const { tokens } = store
      if (!tokens) return
      const bare = { issuedBy: 'bob' }
      const theirs = [
        await issue(tokens, { ...bare, name: 'phone of alice', lastUsedAt: t0, revision: 3 }),
        await issue(tokens, { ...bare, revokedAt: t0, revokedBy: 'alice', expiresAt: t0 - 1 }),
        await issue(tokens, { ...bare, name: '   ' }),
      ]
      const unnamed = await issue(tokens, { ...bare, name: '' })
      const other = await issue(tokens, { userId: 'bob', issuedBy: 'alice', revokedBy: 'alice' })
      await eraseAll(store, retention, 'alice')
      sameInAnyOrder(await allTokens(tokens), [
        ...theirs.map((one) => ({ ...one, name: '', revision: one.revision + 1 })),
        ...[unnamed, other],
      ])
      for (const { id, revision } of theirs) {
        const after = (await bothWays(tokens, { id })).map((one) => one?.revision)
        same(after, [revision + 1, revision + 1], 'a token keeps its hash')
      }
      assert.equal(await eraseAll(store, retention, 'alice'), 0)
    },
  )

  rule('whoever has read an API token before puts no name back', async (store, retention) => {
    const { tokens } = store
    if (!tokens) return
    const token = await issue(tokens)
    await eraseAll(store, retention, 'alice')
    assert.equal(await tokens.changeToken(revocationOf(token), []), false)
    assert.equal((await tokens.readToken(token.id))?.name, '')
  })

  rule('no API token is erased by a look-alike of its owner', async (store, retention) => {
    const { tokens } = store
    if (!tokens) return
    for (const userId of ['Alice', 'alice ', 'a', 'alice\u0301']) await issue(tokens, { userId })
    const stored = await allTokens(tokens)
    for (const id of ['alice', 'ALICE', 'alice  ', '_', '', 'al%', 'ali\0ce', 'alice\ud800']) {
      const { rows } = await retention.erasePerson(id, await endOf(store), 9)
      assert.equal(rows, 0, id)
    }
    same(await allTokens(tokens), stored)
  })

  rule('one unit erases no more API tokens than its limit', async (store, retention) => {
    const { tokens } = store
    if (!tokens) return
    for (let n = 0; n < 5; n++) {
      const token = tokenOf({ createdAt: t0 + n * minute })
      await tokens.createToken(token, hashOf(token.id), [], null)
    }
    const counts = []
    for (let more = true; more; ) {
      const unit = await retention.erasePerson('alice', await endOf(store), 2)
      counts.push(unit.rows)
      more = unit.more
    }
    same(counts, [2, 2, 1])
    same(
      (await allTokens(tokens)).map(({ name, revision }) => [name, revision]),
      Array(5).fill(['', 2]),
    )
  })
}
