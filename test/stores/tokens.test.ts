import { DatabaseSync } from 'node:sqlite'
import { inspect } from 'node:util'
import { CompiledQuery, Kysely, SqliteDialect, sql } from 'kysely'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { guardStore } from '../../src/stores/guarded.ts'
import { kyselyStore, migrate } from '../../src/stores/kysely/index.ts'
import { openSqlite } from '../../src/stores/kysely/node-sqlite.ts'
import { tokenQuery, tokensQuery } from '../../src/stores/kysely/queries.ts'
import { isTransient } from '../../src/stores/kysely/retry.ts'
import type { Tables } from '../../src/stores/kysely/schema.ts'
import { toTokenRow } from '../../src/stores/kysely/token-rows.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { type TokenFilter, tokenVerbs } from '../../src/stores/tokens.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { minute, t0 } from '../../src/testing/store/fixtures.ts'
import { before, day } from '../../src/testing/store/retention-fixtures.ts'
import {
  bothWays,
  hashOf,
  issue,
  revocationOf,
  rotationOf,
  stepOf,
  tokenEvent,
  tokenOf,
} from '../../src/testing/store/token-fixtures.ts'
import type { ApiToken } from '../../src/types.ts'
import { type Address, kyselyOn, sqliteKysely } from '../support/connect.ts'
import { describeOn, dropDatabase, emptyTables, kinds, makeDatabase } from '../support/databases.ts'

for (const kind of kinds) {
  describeOn(kind, 'API tokens', () => {
    let address: Address
    let db: Kysely<Tables>
    const cleanups: (() => Promise<unknown>)[] = []
    beforeAll(async () => {
      address = await makeDatabase(kind)
      cleanups.push(() => dropDatabase(address))
      db =
        address.kind === 'sqlite'
          ? sqliteKysely(address.file)
          : kyselyOn(address.kind, address.database)
      cleanups.push(() => db.destroy())
      await migrate(db)
    })
    afterAll(async () => {
      for (const cleanup of cleanups.reverse()) await cleanup()
    })

    /** The indexes that a query goes by, and whatever else its plan says. */
    async function planOf(query: { compile(): CompiledQuery } | null): Promise<string> {
      const { sql: text, parameters } = query?.compile() ?? { sql: 'nothing', parameters: [] }
      if (address.kind === 'sqlite') {
        const plain = new DatabaseSync(address.file)
        const rows = plain.prepare(`explain query plan ${text}`).all(...(parameters as string[]))
        plain.close()
        return rows.map(({ detail }) => detail).join('\n')
      }
      const raw = CompiledQuery.raw(`explain ${text}`, [...parameters])
      const { rows } = await db.executeQuery<Record<string, unknown>>(raw)
      return rows.map((row) => Object.values(row).join(' ')).join('\n')
    }

    it('are found, listed and pruned by an index, among many thousands', async () => {
      await emptyTables(db)
      const count = 20_000
      const rows = Array.from({ length: count }, (_, n) => {
        const id = `token-${n}`
        const [userId, issuedBy] = [`user ${n % 4_000}`, `issuer ${n % 2_000}`]
        const old = n % 1_000 === 0 ? before - day : null
        const userOrgId = `org ${n % 3_000}`
        const expiresAt = n % 1_000 === 1 ? before - day : before + n
        const token = { id, userId, userOrgId, issuedBy, createdAt: t0 + n, expiresAt }
        return { ...toTokenRow(tokenOf({ ...token, revokedAt: old })), hash: hashOf(id) }
      })
      while (rows.length > 0) {
        await db.insertInto('impersonation_tokens').values(rows.splice(0, 500)).execute()
      }
      await sql`analyze ${sql.raw(kind === 'mysql' ? 'table impersonation_tokens' : '')}`.execute(
        db,
      )

      const byHash = tokenQuery(db).compile()
      const found = { compile: () => ({ ...byHash, parameters: [hashOf('token-7')] }) }
      expect(await planOf(found)).toMatch(
        kind === 'sqlite'
          ? /^SEARCH \S+ USING INDEX sqlite_autoindex_\S+ \(hash=\?\)$/
          : /tokens_hash/,
      )
      const page = { limit: 50, before: { at: t0 + 9_000, id: 'x' } }
      const filters: [TokenFilter, index: string][] = [
        [{}, 'newest'],
        [{ userId: 'user 7' }, 'user'],
        [{ orgId: 'org 7' }, 'org'],
        [{ issuedBy: 'issuer 7' }, 'issuer'],
      ]
      for (const [filter, index] of filters) {
        const plan = await planOf(tokensQuery(db, kind, filter, page))
        expect(plan, JSON.stringify(filter)).toContain(`impersonation_tokens_${index}`)
        expect(plan).not.toMatch(kind === 'postgres' ? /seq scan/i : /sort|temp b-tree|^scan/i)
      }
      for (const [column, index] of [
        ['revoked_at', 'revoked'],
        ['expires_at', 'expired'],
      ] as const) {
        const query = db.selectFrom('impersonation_tokens').select('id').where(column, '<', before)
        const plan = await planOf(query.orderBy(column).limit(101))
        expect(plan).toContain(`impersonation_tokens_${index}`)
        expect(plan).not.toMatch(/sort|temp b-tree|seq scan|^scan/i)
      }
      const { retention } = kyselyStore(db)
      const units: boolean[] = []
      for (let n = 0; n < 3; n++) units.push((await retention.prune(before, 0, 15)).more)
      expect(units).toEqual([true, true, false])
      const { n } = await db
        .selectFrom('impersonation_tokens')
        .select(({ fn }) => fn.countAll().as('n'))
        .executeTakeFirstOrThrow()
      expect(Number(n)).toBe(count - 40)
    })

    it('are taken once by a key that decides no race: its error is the answer', async () => {
      await emptyTables(db)
      const { tokens } = kyselyStore(db)
      const { id } = await issue(tokens)
      const twice = tokens.createToken(tokenOf(), hashOf(id), [], null)
      const error = await twice.catch((error) => error)
      expect(error).toBeInstanceOf(Error)
      expect(isTransient(error)).toBe(false)
      expect(error.message).toMatch(/hash/)
    })

    it('have a hash that no error says', async () => {
      await emptyTables(db)
      const { tokens } = kyselyStore(db)
      const hash = hashOf((await issue(tokens)).id)
      const errors = [await tokens.createToken(tokenOf(), hash, [], null).catch((error) => error)]
      await sql`alter table impersonation_tokens rename to put_aside`.execute(db)
      errors.push(await tokens.createToken(tokenOf(), hash, [], null).catch((error) => error))
      errors.push(await tokens.findToken(hash).catch((error) => error))
      await sql`alter table put_aside rename to impersonation_tokens`.execute(db)
      for (const error of errors) {
        expect(error).toBeInstanceOf(Error)
        const said = inspect(error, { depth: 9, showHidden: true }) + error.stack
        expect(said).not.toContain(hash)
        expect(said).toContain('impersonation_tokens')
      }
    })

    it('refuse what is no hash, and find nothing by it', async () => {
      await emptyTables(db)
      const { tokens } = kyselyStore(db)
      const hash = hashOf('one')
      for (const wrong of ['', hash.toUpperCase(), `${hash}0`, hash.slice(1), `${hash}\n`]) {
        await expect(tokens.createToken(tokenOf(), wrong, [], null)).rejects.toThrow(
          'The hash of a token must be 64 hexadecimal digits in lower case.',
        )
        expect(await tokens.findToken(wrong)).toBeNull()
      }
      expect(await tokens.listTokens({}, { limit: 9 })).toEqual([])
    })

    it('have names in which what no database takes is replaced', async () => {
      await emptyTables(db)
      const { tokens } = kyselyStore(db)
      for (const [name, kept] of [
        ['a\0b', 'a\ufffdb'],
        ['a\ud800', 'a\ufffd'],
      ] as const) {
        const { id } = await issue(tokens, { name, prefix: name })
        const { from, after } = revocationOf({ ...tokenOf({ id }), name }, name)
        expect(await tokens.readToken(id)).toMatchObject({ name: kept, prefix: kept })
        expect(await tokens.changeToken({ from, after }, [])).toBe(true)
        expect(await tokens.readToken(id)).toMatchObject({ name: kept, revokedBy: kept })
      }
    })

    it('keep a fraction of no instant, also of a use', async () => {
      await emptyTables(db)
      const { tokens } = kyselyStore(db)
      const token = await issue(tokens)
      for (const at of [t0 + 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        await expect(tokens.touchTokens([{ id: token.id, at }], minute)).rejects.toThrow('whole')
        await expect(tokens.changeToken(stepOf(token, { expiresAt: at }), [])).rejects.toThrow()
      }
      expect(await bothWays(tokens, token)).toEqual([token, token])
    })
  })
}

it('API tokens in SQL take a constant number of statements', async () => {
  const statements: string[] = []
  const dialect = new SqliteDialect({ database: () => openSqlite(':memory:') })
  const db = new Kysely<Tables>({ dialect, log: ({ query }) => void statements.push(query.sql) })
  try {
    await migrate(db)
    const { tokens } = kyselyStore(db)
    const stored: ApiToken[] = []
    for (let n = 0; n < 300; n++) stored.push(await issue(tokens))
    const counted = async (ask: () => Promise<unknown>) => {
      statements.length = 0
      await ask()
      return statements.length
    }
    const [first, last] = [stored[0] ?? tokenOf(), stored.at(-1) ?? tokenOf()]
    expect(await counted(() => tokens.findToken(hashOf(first.id)))).toBe(1)
    expect(statements[0]).not.toMatch(/select \*|"hash",/)
    expect(await counted(() => tokens.listTokens({}, { limit: 1000 }))).toBe(1)
    expect(statements[0]).not.toContain('hash')
    const use = (n: number) => stored.map(({ id }) => ({ id, at: t0 + n }))
    // begin, the lock, those that are due, their uses, commit
    expect(await counted(() => tokens.touchTokens(use(0), minute))).toBe(5)
    // … and where none is due
    expect(await counted(() => tokens.touchTokens(use(1), minute))).toBe(4)
    expect(await counted(() => tokens.touchTokens([], minute))).toBe(0)
    // begin, the lock, the change, the event, commit
    const { after } = revocationOf(last)
    expect(await counted(() => tokens.changeToken({ from: 1, after }, [tokenEvent(after)]))).toBe(5)
    const { next, replaces } = rotationOf(first)
    const rotate = () => tokens.createToken(next, hashOf(next.id), [tokenEvent(next)], replaces)
    expect(await counted(rotate)).toBe(6)
    expect(await counted(rotate)).toBe(4)
  } finally {
    await db.destroy()
  }
})

it('what API tokens must not answer is refused', async () => {
  const store = faultyStore(memoryStore())
  const { tokens } = guardStore(store, 1000)
  if (!tokens) throw new Error('The guard has lost the tokens.')
  const token = await issue(tokens)
  const { next, replaces } = rotationOf(token)
  const ask = {
    createToken: () => tokens.createToken(tokenOf(), hashOf(crypto.randomUUID()), [], null),
    readToken: () => tokens.readToken(token.id),
    findToken: () => tokens.findToken(hashOf(token.id)),
    listTokens: () => tokens.listTokens({}, { limit: 9 }),
    changeToken: () => tokens.changeToken(stepOf(token), []),
    touchTokens: () => tokens.touchTokens([{ id: token.id, at: t0 }], minute),
  }
  for (const verb of tokenVerbs) await ask[verb]()
  const broken = [
    ...[undefined, {}, [], 'token', 7],
    ...[
      ...[{ id: '' }, { userId: null }, { userOrgId: '' }, { name: null }, { prefix: 7 }],
      ...[{ scopes: 'read' }, { scopes: [''] }, { scopes: [null] }, { issuedBy: '' }],
      ...[{ createdAt: 'x' }, { expiresAt: null }, { lastUsedAt: 'x' }, { revokedAt: Number.NaN }],
      ...[{ replacedBy: '' }, { revision: '1' }, { revision: 1.5 }],
    ].map((change) => ({ ...token, ...change })),
  ]
  const garbage: Record<keyof typeof ask, unknown[]> = {
    createToken: [undefined, null, true, 'changed_since', 'code_used'],
    readToken: [...broken, { ...token, id: 'another' }],
    findToken: broken,
    listTokens: [undefined, {}, ...broken.map((one) => [token, one])],
    changeToken: [undefined, null, 'changed', 1],
    touchTokens: [],
  }
  for (const verb of tokenVerbs) {
    for (const answer of garbage[verb]) {
      store.plan({ [verb]: { garbage: answer } })
      const asked = ask[verb]().then(() => JSON.stringify([verb, answer]))
      await expect(asked).rejects.toMatchObject({ code: 'impersonation_unavailable' })
    }
    store.plan({ [verb]: 'before' })
    await expect(ask[verb]()).rejects.toMatchObject({ code: 'impersonation_unavailable' })
  }
  store.plan({ createToken: { garbage: 'changed_since' } })
  expect(await tokens.createToken(next, hashOf(next.id), [], replaces)).toBe('changed_since')
})
