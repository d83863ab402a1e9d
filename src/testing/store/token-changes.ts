import assert from 'node:assert/strict'
import { allEvents, minute, type Rule, same, t0 } from './fixtures.ts'
import {
  allTokens,
  bothWays,
  hashOf,
  issue,
  revocationOf,
  rotationOf,
  stepOf,
  tokenEvent,
  tokenOf,
  whereIssued,
} from './token-fixtures.ts'

const crowd = 20

export function tokenChangeRules(someRule: Rule): void {
  const rule = whereIssued(someRule)

  rule(
    'a change puts a token in the place of the one before, with its events',
    async (store, tokens) => {
      const token = await issue(tokens)
      const change = stepOf(token, {
        name: 'another',
        scopes: ['write', 'read'],
        expiresAt: t0 + 6,
        revokedAt: t0 + 5,
        revokedBy: 'boss',
        replacedBy: 'token-x',
      })
      const events = [tokenEvent(change.after), tokenEvent(change.after)]
      assert.equal(await tokens.changeToken(change, events), true)
      same(await bothWays(tokens, token), [change.after, change.after])
      assert.equal((await allEvents(store)).length, 3)
    },
  )

  rule('a change of a token from another revision is none', async (store, tokens) => {
    const token = await issue(tokens, { revision: 5 })
    const events = await allEvents(store)
    for (const revision of [1, 4, 6]) {
      const change = revocationOf({ ...token, revision })
      assert.equal(await tokens.changeToken(change, [tokenEvent(change.after)]), false)
    }
    const unknown = tokenOf()
    assert.equal(await tokens.changeToken(revocationOf(unknown), [tokenEvent(unknown)]), false)
    same(await allTokens(tokens), [token])
    same(await allEvents(store), events)
  })

  rule('a change takes back no use, and keeps none', async (_, tokens) => {
    const token = await issue(tokens)
    const first = stepOf(token, { lastUsedAt: t0 + 7 })
    await tokens.changeToken(first, [])
    const unused = { ...first.after, lastUsedAt: null }
    same(await bothWays(tokens, token), [unused, unused])
    await tokens.touchTokens([{ id: token.id, at: t0 + 3 }], minute)
    for (const [n, lastUsedAt] of [null, t0 + 1, t0 + 9].entries()) {
      await tokens.changeToken(stepOf({ ...unused, revision: 2 + n }, { lastUsedAt }), [])
      const after = { ...unused, lastUsedAt: t0 + 3, revision: 3 + n }
      same(await bothWays(tokens, token), [after, after])
    }
  })

  rule('of many changes of a token from one revision one is made', async (store, tokens) => {
    const token = await issue(tokens)
    const changes = Array.from({ length: crowd }, (_, n) => revocationOf(token, `boss ${n}`))
    const answers = await Promise.all(
      changes.map((change) => tokens.changeToken(change, [tokenEvent(change.after)])),
    )
    const made = changes.filter((_, n) => answers[n]).map(({ after }) => after)
    same(made, [await tokens.readToken(token.id)])
    assert.equal((await allEvents(store)).length, 2)
  })

  rule('a change of a token whose events cannot be stored is none', async (store, tokens) => {
    const token = await issue(tokens)
    const stored = await allEvents(store)
    const change = revocationOf(token)
    const event = tokenEvent(change.after)
    for (const events of [
      [event, { ...event, id: stored[0]?.id ?? '' }],
      [event, event],
    ]) {
      await assert.rejects(tokens.changeToken(change, events))
    }
    same(await bothWays(tokens, token), [token, token])
    same(await allEvents(store), stored)
    assert.equal(await tokens.changeToken(change, []), true)
  })

  rule('a token can be revoked by anybody, whatever their id is', async (_, tokens) => {
    for (const by of ['', 'boss\0', 'boss\ud800', 'x'.repeat(300), '💥'.repeat(300)]) {
      const token = await issue(tokens)
      assert.equal(await tokens.changeToken(revocationOf(token, by), []), true)
      assert.equal((await tokens.findToken(hashOf(token.id)))?.revokedAt, t0 + minute)
    }
  })

  rule(
    'a token comes in place of another in one unit, and that one keeps its hash',
    async (store, tokens) => {
      const token = await issue(tokens)
      await tokens.touchTokens([{ id: token.id, at: t0 + 3 }], minute)
      const { next, replaces } = rotationOf(token)
      const events = [tokenEvent(replaces.after), tokenEvent(next)]
      assert.equal(
        await tokens.createToken(next, hashOf(next.id), events, replaces),
        'created',
        'from the revision that it has',
      )
      const old = { ...replaces.after, lastUsedAt: t0 + 3 }
      same(await bothWays(tokens, token), [old, old])
      same(await bothWays(tokens, next), [next, next])
      assert.equal((await allEvents(store)).length, 3)
    },
  )

  rule('in place of one that has changed since nothing comes', async (store, tokens) => {
    const token = await issue(tokens, { revision: 5 })
    const events = await allEvents(store)
    for (const stale of [4, 6].map((revision) => ({ ...token, revision })).concat(tokenOf())) {
      const { next, replaces } = rotationOf(stale)
      const more = [tokenEvent(replaces.after), tokenEvent(next)]
      const answer = await tokens.createToken(next, hashOf(next.id), more, replaces)
      assert.equal(answer, 'changed_since')
      same(await bothWays(tokens, next), [null, null])
    }
    same(await allTokens(tokens), [token])
    same(await allEvents(store), events)
  })

  rule('an id or a hash that came too late is not taken', async (_, tokens) => {
    const token = await issue(tokens)
    const { next, replaces } = rotationOf({ ...token, revision: 9 })
    await tokens.createToken(next, hashOf(next.id), [], replaces)
    assert.equal(await tokens.createToken(next, hashOf(next.id), [], null), 'created')
  })

  rule('a replacement whose events cannot be stored is none', async (store, tokens) => {
    const token = await issue(tokens)
    const stored = await allEvents(store)
    const { next, replaces } = rotationOf(token)
    const event = tokenEvent(next)
    for (const events of [
      [event, { ...event, id: stored[0]?.id ?? '' }],
      [event, event],
    ]) {
      await assert.rejects(tokens.createToken(next, hashOf(next.id), events, replaces))
    }
    same(await bothWays(tokens, token), [token, token])
    same(await bothWays(tokens, next), [null, null])
    same(await allEvents(store), stored)
  })

  rule('of many replacements from one revision one is made', async (store, tokens) => {
    const token = await issue(tokens)
    const asked = Array.from({ length: crowd }, () => rotationOf(token))
    const answers = await Promise.all(
      asked.map(({ next, replaces }) => {
        const events = [tokenEvent(replaces.after), tokenEvent(next)]
        return tokens.createToken(next, hashOf(next.id), events, replaces)
      }),
    )
    const made = asked.filter((_, n) => answers[n] === 'created')
    same(
      answers.filter((answer) => answer === 'changed_since').length,
      crowd - 1,
      'and the others are told so',
    )
    same(
      made.map(({ replaces }) => replaces.after),
      [await tokens.readToken(token.id)],
    )
    for (const { next } of asked) {
      const kept = made[0]?.next === next ? next : null
      same(await bothWays(tokens, next), [kept, kept])
    }
    assert.equal((await allEvents(store)).length, 3)
  })

  rule('of replacements and revocations at once one is made', async (store, tokens) => {
    for (let round = 0; round < 5; round++) {
      const token = await issue(tokens)
      const events = (await allEvents(store)).length
      const answers = await Promise.all(
        Array.from({ length: crowd }, async (_, n) => {
          const { next, replaces } = rotationOf(token)
          const revocation = revocationOf(token)
          if (n % 2) return tokens.changeToken(revocation, [tokenEvent(revocation.after)])
          const answer = await tokens.createToken(
            next,
            hashOf(next.id),
            [tokenEvent(next)],
            replaces,
          )
          return answer === 'created'
        }),
      )
      assert.equal(answers.filter(Boolean).length, 1)
      const stored = await tokens.readToken(token.id)
      assert.equal(stored?.revision, 2)
      assert.equal(stored.revokedAt === null, stored.replacedBy !== null)
      assert.equal((await allEvents(store)).length, events + 1)
    }
  })
}
