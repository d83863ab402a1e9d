import assert from 'node:assert/strict'
import type { Store } from '../../stores/store.ts'
import type { TokenSection } from '../../stores/tokens.ts'
import type { ApiToken } from '../../types.ts'
import { allEvents, type Rule, same, t0 } from './fixtures.ts'
import { lookAlikes } from './grants.ts'
import { distinctIds, lossyIds } from './identities.ts'
import { newestFirst } from './lists.ts'
import {
  allTokens,
  bothWays,
  hashOf,
  issue,
  rotationOf,
  stepOf,
  tokenEvent,
  tokenOf,
  whereIssued,
} from './token-fixtures.ts'

export function tokenRules(someRule: Rule): void {
  const rule = whereIssued(someRule)

  rule(
    'an API token reads back as it was given, by its id and by its hash, with its events',
    async (store, tokens) => {
      const words = `it's "quoted" \\ %_ \r\n\t \u202e {"a":1} <b> $1 ? ; -- ${'🧯'.repeat(500)}`
      const full = tokenOf({
        userOrgId: 'acme',
        name: words,
        prefix: words,
        scopes: ['upload', words],
        expiresAt: Date.UTC(9999, 11, 31),
        lastUsedAt: t0 + 1,
        revokedAt: t0 + 2,
        revokedBy: 'boss ',
        replacedBy: 'token-x',
        revision: 5,
      })
      const bare = tokenOf({ createdAt: t0 - 1, name: '', scopes: [] })
      const events = [full, full, bare].map((token) => tokenEvent(token))
      const create = (token: ApiToken, more: typeof events) =>
        tokens.createToken(token, hashOf(token.id), more, null)
      assert.equal(await create(full, events.slice(0, 2)), 'created')
      assert.equal(await create(bare, events.slice(2)), 'created')
      for (const token of [full, bare]) same(await bothWays(tokens, token), [token, token])
      same(await allTokens(tokens), [full, bare])
      same(
        newestFirst(await allEvents(store), (event) => event.at),
        newestFirst(events, (event) => event.at),
      )
    },
  )

  rule('scopes are kept in their order, byte by byte', async (_, tokens) => {
    const many = Array.from({ length: 50 }, (_, n) => `scope:${'💥'.repeat(20)}${50 - n}`)
    const scopes = ['write', 'read', 'Read', 'read ', 'read,write', '"read"', '*', ...many]
    const token = await issue(tokens, { scopes })
    for (const found of [...(await bothWays(tokens, token)), ...(await allTokens(tokens))]) {
      same(found?.scopes, scopes)
    }
  })

  rule('a token is found by its whole hash and by nothing else', async (_, tokens) => {
    const token = await issue(tokens)
    const hash = hashOf(token.id)
    const last = hash.endsWith('0') ? '1' : '0'
    const others = [
      ...[hash.toUpperCase(), `${hash} `, ` ${hash}`, `${hash}\0`, `${hash}0`],
      ...[hash.slice(0, -1), `${hash.slice(0, -1)}${last}`, `${hash.slice(0, 8)}%`],
      ...['', '%', '_'.repeat(64), '\ud800', token.id, hashOf('none'), '0'.repeat(64)],
    ]
    for (const other of others) {
      if (other !== hash) same(await tokens.findToken(other), null, JSON.stringify(other))
    }
    same(await tokens.findToken(hash), token)
  })

  rule('a hash is not handed out, nor taken for an id', async (_, tokens) => {
    const token = await issue(tokens)
    const hash = hashOf(token.id)
    const said = [...(await bothWays(tokens, token)), ...(await allTokens(tokens))]
    assert.equal(JSON.stringify(said).includes(hash), false)
    assert.equal(await tokens.readToken(hash), null)
  })

  rule('an id of a token is taken once and for all', async (store, tokens) => {
    const first = await issue(tokens)
    const again = tokenOf({ id: first.id, userId: 'bob' })
    await refusesToCreate(store, tokens, again, hashOf('another'))
    same(await bothWays(tokens, first), [first, first])
    same(await tokens.findToken(hashOf('another')), null)
  })

  rule('a hash is taken once and for all', async (store, tokens) => {
    const first = await issue(tokens)
    const again = tokenOf({ userId: 'bob' })
    await refusesToCreate(store, tokens, again, hashOf(first.id))
    same(await bothWays(tokens, first), [first, first])
    same(await tokens.readToken(again.id), null)
  })

  rule('the hash of a token that is revoked is taken still', async (store, tokens) => {
    const { id } = await issue(tokens, { revokedAt: t0, expiresAt: t0 - 1 })
    await refusesToCreate(store, tokens, tokenOf(), hashOf(id))
  })

  rule('of many that are created with one hash at once one is', async (store, tokens) => {
    const asked = Array.from({ length: 20 }, (_, n) => tokenOf({ name: `token ${n}` }))
    const made = await atOnce(tokens, asked, () => hashOf('shared'))
    assert.equal(made.length, 1)
    same(await allTokens(tokens), made)
    same(await tokens.findToken(hashOf('shared')), made[0])
    assert.equal((await allEvents(store)).length, 1)
  })

  rule('of many that are created with one id at once one is', async (store, tokens) => {
    const { id } = tokenOf()
    const asked = Array.from({ length: 20 }, (_, n) => tokenOf({ id, name: `${n}` }))
    const made = await atOnce(tokens, asked, ({ name }) => hashOf(name))
    assert.equal(made.length, 1)
    same(await allTokens(tokens), made)
    for (const { name } of asked) {
      const own = made[0]?.name === name ? made[0] : null
      same(await tokens.findToken(hashOf(name)), own, 'a hash that lost finds nothing')
    }
    assert.equal((await allEvents(store)).length, 1)
  })

  rule('a token whose events cannot be stored is not there', async (store, tokens) => {
    const first = await issue(tokens)
    const [taken] = await allEvents(store)
    const next = tokenOf()
    const event = tokenEvent(next)
    for (const unstorable of [
      [event, { ...event, id: taken?.id ?? '' }],
      [event, event],
    ]) {
      await assert.rejects(tokens.createToken(next, hashOf(next.id), unstorable, null))
      same(await bothWays(tokens, next), [null, null])
    }
    same(await allTokens(tokens), [first])
    same(await allEvents(store), [taken])
    assert.equal(await tokens.createToken(next, hashOf(next.id), [event], null), 'created')
  })

  rule('what was handed in or out can change no token that is stored', async (_, tokens) => {
    const scopes = ['read']
    const token = { ...tokenOf({ scopes }) }
    const stored = structuredClone(token)
    await tokens.createToken(token, hashOf(token.id), [], null)
    tamper(token)
    scopes.push('write')
    for (let round = 0; round < 2; round++) {
      const read = [...(await bothWays(tokens, stored)), ...(await allTokens(tokens))]
      same(read, [stored, stored, stored])
      for (const one of read) {
        tamper(one)
        tamper(one?.scopes)
      }
    }
    const { from, after } = stepOf(stored, { name: 'another' })
    const handed = { ...after, scopes: [...after.scopes] }
    await tokens.changeToken({ from, after: handed }, [])
    tamper(handed)
    tamper(handed.scopes)
    same(await bothWays(tokens, stored), [after, after])
  })

  rule('look-alikes of a person have tokens of their own', async (_, tokens) => {
    for (const [n, id] of distinctIds.entries()) {
      await issue(tokens, { userId: id, issuedBy: `issuer of ${n}` })
      await issue(tokens, { userId: `owner of ${n}`, issuedBy: id })
      await issue(tokens, { userId: `member of ${n}`, userOrgId: id, issuedBy: `clerk of ${n}` })
    }
    for (const id of distinctIds) {
      const owned = await tokens.listTokens({ userId: id }, { limit: 100 })
      const issued = await tokens.listTokens({ issuedBy: id }, { limit: 100 })
      const inOrg = await tokens.listTokens({ orgId: id }, { limit: 100 })
      const found = [
        owned.map(({ userId }) => userId),
        issued.map(({ issuedBy }) => issuedBy),
        inOrg.map(({ userOrgId }) => userOrgId),
      ]
      same(found, [[id], [id], [id]], JSON.stringify(id))
    }
  })

  rule('a look-alike of a token id finds, changes and replaces nothing', async (store, tokens) => {
    const token = await issue(tokens, { id: 'Grant-é' })
    for (const id of lookAlikes) {
      same(await tokens.readToken(id), null, id)
      const { next, replaces } = rotationOf({ ...token, id })
      assert.equal(await tokens.changeToken(replaces, [tokenEvent(replaces.after)]), false, id)
      const answer = await tokens.createToken(next, hashOf(id), [tokenEvent(next)], replaces)
      assert.equal(answer, 'changed_since', id)
    }
    same(await allTokens(tokens), [token])
    assert.equal((await allEvents(store)).length, 1)
  })

  rule('an id of a token is kept as it is or refused, never as another', async (_, tokens) => {
    const places = [
      ['userId', 'userId'],
      ['userOrgId', 'orgId'],
      ['issuedBy', 'issuedBy'],
    ] as const
    for (const [lossy, likely] of lossyIds) {
      for (const [place, filter] of places) {
        const name = `${place} ${JSON.stringify(lossy).slice(-20)}`
        const token = tokenOf({ userId: 'bob', issuedBy: 'sup', [place]: lossy })
        const kept = await tokens.createToken(token, hashOf(token.id), [], null).then(
          () => [token],
          () => [],
        )
        same(await tokens.listTokens({ [filter]: likely }, { limit: 9 }), [], name)
        same(await tokens.listTokens({ [filter]: lossy }, { limit: 9 }), kept, name)
        same(await bothWays(tokens, token), [kept[0] ?? null, kept[0] ?? null], name)
      }
    }
    for (const [n, [lossy, likely]] of lossyIds.slice(1).entries()) {
      const named = (id: string) => (id.length < 255 ? `${n}${id}` : id)
      const token = await issue(tokens, { id: named(likely) })
      const other = named(lossy)
      same(await tokens.readToken(other), null)
      assert.equal(await tokens.changeToken(stepOf({ ...token, id: other }), []), false)
      const { next, replaces } = rotationOf({ ...token, id: other })
      const answer = await tokens.createToken(next, hashOf(next.id), [], replaces)
      assert.equal(answer, 'changed_since')
      same(await tokens.readToken(token.id), token)
    }
  })
}

/** … and nothing else happens, also to the one that it was to come in place of. */
async function refusesToCreate(store: Store, tokens: TokenSection, again: ApiToken, hash: string) {
  const old = await issue(tokens)
  const before = [await allTokens(tokens), await allEvents(store)]
  const { replaces } = rotationOf(old)
  for (const change of [null, replaces]) {
    await assert.rejects(tokens.createToken(again, hash, [tokenEvent(again)], change))
    same([await allTokens(tokens), await allEvents(store)], before)
  }
}

/** Creates them all at once, and gives those that were not refused. */
async function atOnce(
  tokens: TokenSection,
  asked: readonly ApiToken[],
  hash: (token: ApiToken) => string,
): Promise<ApiToken[]> {
  const answers = await Promise.allSettled(
    asked.map((one) => tokens.createToken(one, hash(one), [tokenEvent(one)], null)),
  )
  return asked.filter((_, n) => answers[n]?.status === 'fulfilled')
}

function tamper(value: object | null | undefined): void {
  try {
    Object.assign(value ?? {}, { name: 'mine', revokedAt: null, userId: 'mallory', 0: 'admin' })
  } catch {
    // Frozen is as good as copied.
  }
}
