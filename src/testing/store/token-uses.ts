import assert from 'node:assert/strict'
import type { TokenSection } from '../../stores/tokens.ts'
import type { ApiToken } from '../../types.ts'
import { allEvents, minute, type Rule, same, t0 } from './fixtures.ts'
import { lookAlikes } from './grants.ts'
import { lossyIds } from './identities.ts'
import { newestFirst } from './lists.ts'
import { allTokens, bothWays, issue, revocationOf, stepOf, whereIssued } from './token-fixtures.ts'

export function tokenUseRules(someRule: Rule): void {
  const rule = whereIssued(someRule)

  rule('a use is kept, and nothing else changes', async (store, tokens) => {
    const [token, other] = [await issue(tokens, { revision: 4 }), await issue(tokens)]
    const events = await allEvents(store)
    await tokens.touchTokens([{ id: token.id, at: t0 + 5 }], minute)
    const after = { ...token, lastUsedAt: t0 + 5 }
    same(await bothWays(tokens, token), [after, after])
    same(await bothWays(tokens, other), [other, other])
    same(await allEvents(store), events)
    await tokens.touchTokens([], minute)
    same(await tokens.readToken(token.id), after)
  })

  rule('a use is kept at least so long after the one before', async (_, tokens) => {
    const { id } = await issue(tokens)
    const steps: [at: number, kept: number][] = [
      [t0, t0],
      [t0, t0],
      [t0 + 1, t0],
      [t0 + minute - 1, t0],
      [t0 + minute, t0 + minute],
      [t0 + 2 * minute - 1, t0 + minute],
      [t0 + 90 * minute, t0 + 90 * minute],
      [Date.UTC(9999, 11, 31), Date.UTC(9999, 11, 31)],
    ]
    for (const [at, kept] of steps) {
      await tokens.touchTokens([{ id, at }], minute)
      assert.equal((await tokens.readToken(id))?.lastUsedAt, kept, `${at - t0}`)
    }
  })

  rule('a use that comes late takes nothing back', async (_, tokens) => {
    const { id } = await issue(tokens)
    for (const at of [t0 + 90 * minute, t0, t0 - 90 * minute, 0]) {
      await tokens.touchTokens([{ id, at }], minute)
      assert.equal((await tokens.readToken(id))?.lastUsedAt, t0 + 90 * minute)
    }
  })

  rule('every use is kept where nothing has to lie between two', async (_, tokens) => {
    const { id } = await issue(tokens)
    for (const [at, kept] of [
      [t0 + 1, t0 + 1],
      [t0 + 2, t0 + 2],
      [t0, t0 + 2],
    ] as const) {
      await tokens.touchTokens([{ id, at }], 0)
      assert.equal((await tokens.readToken(id))?.lastUsedAt, kept)
    }
  })

  rule('a token that was used twice was used the later time', async (_, tokens) => {
    for (const ats of [
      [t0, t0 + minute],
      [t0 + minute, t0],
    ]) {
      const { id } = await issue(tokens)
      await tokens.touchTokens(
        ats.map((at) => ({ id, at })),
        minute,
      )
      assert.equal((await tokens.readToken(id))?.lastUsedAt, t0 + minute)
    }
  })

  rule('a use of a token that nobody has is passed over', async (_, tokens) => {
    const [first, last] = [await issue(tokens, { id: 'Grant-é' }), await issue(tokens)]
    const others = ['none', '', ...lookAlikes, ...lossyIds.map(([lossy]) => lossy)]
    await tokens.touchTokens(
      others.map((id) => ({ id, at: t0 })),
      minute,
    )
    same(await allTokens(tokens), newestFirst([first, last], at))
    const ids = [first.id, ...others, last.id]
    await tokens.touchTokens(
      ids.map((id, n) => ({ id, at: t0 + n })),
      minute,
    )
    const after = [
      { ...first, lastUsedAt: t0 },
      { ...last, lastUsedAt: t0 + others.length + 1 },
    ]
    same(await allTokens(tokens), newestFirst(after, at))
  })

  rule('a use of a token that is over is kept', async (_, tokens) => {
    const token = await issue(tokens, { expiresAt: t0 })
    await tokens.changeToken(revocationOf(token), [])
    await tokens.touchTokens([{ id: token.id, at: t0 + 5 }], minute)
    assert.equal((await tokens.readToken(token.id))?.lastUsedAt, t0 + 5)
  })

  rule('a use is no change: the one from the revision before is made', async (_, tokens) => {
    const token = await issue(tokens)
    await tokens.touchTokens([{ id: token.id, at: t0 + 5 }], minute)
    assert.equal(await tokens.changeToken(revocationOf(token), []), true)
  })

  rule('many uses at once are kept, each where it is due', async (_, tokens) => {
    const stored: ApiToken[] = []
    for (let n = 0; n < 30; n++) {
      stored.push(await issue(tokens, { lastUsedAt: n % 3 ? t0 - n * minute : null }))
    }
    const unknown = Array.from({ length: 1_200 }, (_, n) => ({ id: `unknown ${n}`, at: t0 }))
    const uses = stored.map(({ id }, n) => ({ id, at: t0 + n * minute }))
    await tokens.touchTokens([...unknown.slice(600), ...uses, ...unknown.slice(0, 600)], 9 * minute)
    const after = stored.map((token, n) => {
      const { lastUsedAt } = token
      const due = lastUsedAt === null || lastUsedAt <= t0 + (n - 9) * minute
      return due ? { ...token, lastUsedAt: t0 + n * minute } : token
    })
    same(await allTokens(tokens), newestFirst(after, at))
  })

  rule('uses and changes of the same tokens at once all happen', async (_, tokens) => {
    const stored: ApiToken[] = []
    for (let n = 0; n < 6; n++) stored.push(await issue(tokens))
    for (let round = 0; round < 10; round++) {
      const used = t0 + round * minute
      const uses = stored.map(({ id }) => ({ id, at: used }))
      const touches = Array.from({ length: 6 }, (_, n) =>
        tokens.touchTokens(n % 2 ? uses : uses.toReversed(), minute),
      )
      const changes = await Promise.all(
        stored.map((token) => changeOnce(tokens, { ...token, revision: 1 + round })),
      )
      await Promise.all(touches)
      same(changes, Array(6).fill(true))
      for (const { id } of stored) {
        const { lastUsedAt, revision } = (await tokens.readToken(id)) as ApiToken
        same({ lastUsedAt, revision }, { lastUsedAt: used, revision: 2 + round })
      }
    }
  })
}

const changeOnce = (tokens: TokenSection, token: ApiToken) => tokens.changeToken(stepOf(token), [])

const at = ({ createdAt }: ApiToken) => createdAt
