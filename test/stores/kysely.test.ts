import { DatabaseSync } from 'node:sqlite'
import {
  CamelCasePlugin,
  type CompiledQuery,
  type Dialect,
  DummyDriver,
  Kysely,
  type KyselyPlugin,
  MssqlAdapter,
  MssqlIntrospector,
  MssqlQueryCompiler,
  MysqlDialect,
  type MysqlPool,
  PostgresDialect,
  type PostgresPool,
  SqliteDialect,
} from 'kysely'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { dialects, kyselyStore, migrate, migrationSql } from '../../src/stores/kysely/index.ts'
import { openSqlite } from '../../src/stores/kysely/node-sqlite.ts'
import {
  deliveriesQuery,
  dueQuery,
  eventsQuery,
  grantsQuery,
  requestsQuery,
  sessionsQuery,
  standingQuery,
  tokenQuery,
  tokensQuery,
} from '../../src/stores/kysely/queries.ts'
import { createQueue } from '../../src/stores/kysely/queue.ts'
import { isTransient, LostRace, retried } from '../../src/stores/kysely/retry.ts'
import type { Tables } from '../../src/stores/kysely/schema.ts'
import type { GrantFilter, SessionFilter } from '../../src/stores/store.ts'
import {
  claimOf,
  endedEvent,
  endingOf,
  extendedEvent,
  minute,
  sessionOf,
  start,
  t0,
} from '../../src/testing/store/fixtures.ts'
import { changeOf, consent } from '../../src/testing/store/grant-fixtures.ts'
import { deliveryOf, leaseOf, post, settlementOf } from '../../src/testing/store/outbox-fixtures.ts'
import { ask, codeOf, requestOf, stepOf } from '../../src/testing/store/request-fixtures.ts'
import {
  hashOf,
  issue,
  revocationOf,
  rotationOf,
  tokenOf,
} from '../../src/testing/store/token-fixtures.ts'
import { append, contentOf } from '../../src/testing/store/trail-fixtures.ts'
import { deliveryTopics } from '../../src/types.ts'
import { sqliteKysely } from '../support/connect.ts'

const opened: Kysely<never>[] = []
afterEach(async () => {
  for (const db of opened.splice(0)) await db.destroy()
})

function memoryDb() {
  const db = sqliteKysely(':memory:')
  opened.push(db as unknown as Kysely<never>)
  return db
}

describe('kyselyStore', () => {
  it('takes its name from the dialect', () => {
    expect(kyselyStore(memoryDb()).name).toBe('sqlite')
    expect(kyselyStore(memoryDb(), { dialect: 'mysql' }).name).toBe('mysql')
  })

  it('refuses what is no kysely instance, a transaction, and a dialect it does not know', async () => {
    for (const wrong of [undefined, null, {}, 'postgres://']) {
      expect(() => kyselyStore(wrong as never)).toThrow(
        new TypeError('"db" must be a Kysely instance.'),
      )
    }
    expect(() => kyselyStore(memoryDb(), { dialect: 'oracle' as 'mysql' })).toThrow(
      `"dialect" must be one of ${dialects.join(', ')}.`,
    )
    await memoryDb()
      .transaction()
      .execute(async (trx) => {
        expect(() => kyselyStore<Tables>(trx)).toThrow('"db" must not be a transaction.')
      })
  })

  it('refuses SQL Server with a sentence', async () => {
    const db = new Kysely({
      dialect: {
        createAdapter: () => new MssqlAdapter(),
        createDriver: () => new DummyDriver(),
        createIntrospector: (kysely) => new MssqlIntrospector(kysely),
        createQueryCompiler: () => new MssqlQueryCompiler(),
      },
    })
    const sentence = /SQL Server: use Postgres, MySQL, MariaDB or SQLite/
    expect(() => kyselyStore(db)).toThrow(sentence)
    await expect(migrate(db)).rejects.toThrow(sentence)
  })

  it("leaves the host's plugins out: names in camel case, refused writes", async () => {
    const readOnly: KyselyPlugin = {
      transformQuery: ({ node }) => {
        if (node.kind !== 'SelectQueryNode') throw new Error(`refused: ${node.kind}`)
        return node
      },
      transformResult: async ({ result }) => result,
    }
    const db = memoryDb().withPlugin(new CamelCasePlugin()).withPlugin(readOnly)
    await migrate(db)
    const store = kyselyStore(db)
    await store.check?.()
    const session = await start(store)
    expect(await store.readStanding('root')).toEqual({ active: session, lapse: null })
    expect(await store.listSessions({ actorId: 'root' }, { limit: 1 })).toEqual([session])
    await store.endSession(session.id, endingOf(), endedEvent)
    expect(await store.listEvents({}, { limit: 9 })).toHaveLength(2)
  })

  describe('in its queries on SQLite', () => {
    const plain = new DatabaseSync(':memory:')
    plain.exec(migrationSql('sqlite'))
    const planOf = (query: { compile(): CompiledQuery } | null) => {
      const { sql, parameters } = query?.compile() ?? { sql: 'nothing', parameters: [] }
      const rows = plain.prepare(`explain query plan ${sql}`).all(...(parameters as string[]))
      return rows.map(({ detail }) => String(detail))
    }

    it('finds the standing by its two indexes alone', () => {
      const plan = planOf(standingQuery(memoryDb())).join('\n')
      expect(plan).toContain('(active_actor_key=?)')
      expect(plan).toContain('impersonation_sessions_lapse (lapse_actor_key=?)')
      expect(plan).not.toMatch(/USE TEMP B-TREE|SCAN impersonation_sessions/)
    })

    it('lists by an index and without sorting, whatever is asked', () => {
      const page = { limit: 50, before: { at: 5, id: 'x' } }
      const ways: SessionFilter[] = [
        {},
        { status: 'active' },
        { actorId: 'a' },
        { targetUserId: 'a' },
        { orgId: 'a' },
      ]
      for (const filter of ways) {
        const plan = planOf(sessionsQuery(memoryDb(), 'sqlite', filter, page))
        expect(plan, JSON.stringify(filter)).toEqual([
          expect.stringMatching(/^SEARCH .* USING INDEX .*created_at<\?/),
        ])
      }
      for (const filter of [{}, { actorId: 'a' }, { targetUserId: 'a' }, { sessionId: 'a' }]) {
        const plan = planOf(eventsQuery(memoryDb(), 'sqlite', filter, page))
        expect(plan, JSON.stringify(filter)).toEqual([
          expect.stringMatching(/^SEARCH .* USING INDEX .*at<\?/),
        ])
      }
      const waysOfGrants: [GrantFilter, index: string][] = [
        [{}, 'newest'],
        [{ actorId: 'a' }, 'actor'],
        [{ targetUserId: 'a' }, 'target'],
        [{ targetUserId: 'a', status: 'granted' }, 'target'],
      ]
      for (const [filter, index] of waysOfGrants) {
        const [plan, ...sorting] = planOf(grantsQuery(memoryDb(), 'sqlite', filter, page))
        expect(plan, JSON.stringify(filter)).toMatch(
          new RegExp(`^SEARCH .* USING INDEX impersonation_grants_${index} .*created_at<\\?`),
        )
        expect(sorting).toEqual([])
      }
      const expectIndex = (plan: string[], index: string) =>
        expect(plan).toEqual([
          expect.stringMatching(
            new RegExp(`^SEARCH .* USING INDEX impersonation_${index} .*created_at<\\?`),
          ),
        ])
      for (const [filter, index] of [
        [{}, 'newest'],
        [{ actorId: 'a' }, 'actor'],
        [{ targetUserId: 'a' }, 'target'],
      ] as const) {
        const plan = planOf(requestsQuery(memoryDb(), 'sqlite', filter, page))
        expectIndex(plan, `requests_${index}`)
      }
      for (const [filter, index] of [
        [{}, 'newest'],
        [{ userId: 'a' }, 'user'],
        [{ userId: 'a', topic: 'notice' }, 'user'],
      ] as const) {
        const plan = planOf(deliveriesQuery(memoryDb(), 'sqlite', filter, page))
        expectIndex(plan, `deliveries_${index}`)
      }
      for (const [filter, index] of [
        [{}, 'newest'],
        [{ userId: 'a' }, 'user'],
        [{ orgId: 'a' }, 'org'],
        [{ issuedBy: 'a' }, 'issuer'],
      ] as const) {
        const plan = planOf(tokensQuery(memoryDb(), 'sqlite', filter, page))
        expectIndex(plan, `tokens_${index}`)
      }
    })

    it('finds a token by the unique index of hashes alone', () => {
      expect(planOf(tokenQuery(memoryDb()))).toEqual([
        expect.stringMatching(/^SEARCH .* USING INDEX sqlite_autoindex_\S+ \(hash=\?\)$/),
      ])
    })

    it('finds the requests whose time is up by an index that bounds both', () => {
      const filter = { status: 'pending', expiredBy: 5 } as const
      const plan = planOf(requestsQuery(memoryDb(), 'sqlite', filter, { limit: 50 }))
      expect(plan[0]).toContain('impersonation_requests_due (status=? AND expires_at<?)')
    })

    it('finds what is due in the order of its index, without sorting', () => {
      for (const topic of deliveryTopics) {
        expect(planOf(dueQuery(memoryDb(), { now: 5, limit: 10, topics: [topic] }))).toEqual([
          expect.stringContaining(
            'impersonation_deliveries_due (status=? AND topic=? AND due_at<?)',
          ),
        ])
      }
    })

    it('finds the grants whose time is up by an index that bounds both', () => {
      const filter = { status: 'granted', expiredBy: 5 } as const
      const plan = planOf(grantsQuery(memoryDb(), 'sqlite', filter, { limit: 50 }))
      expect(plan[0]).toContain('impersonation_grants_due (status=? AND expires_at<?)')
    })
  })
})

describe('a change in SQL', () => {
  const change = { from: t0 + 30 * minute, to: t0 + 40 * minute, now: t0 }

  it('on SQLite takes the write lock before it reads', async () => {
    const statements: string[] = []
    const dialect = new SqliteDialect({ database: () => openSqlite(':memory:') })
    const db = new Kysely<Tables>({ dialect, log: ({ query }) => void statements.push(query.sql) })
    opened.push(db as unknown as Kysely<never>)
    await migrate(db)
    const store = kyselyStore(db)
    statements.length = 0
    const session = await start(store)
    await store.extendSession(session.id, change, extendedEvent)
    await store.endSession(session.id, endingOf(), endedEvent)
    await store.acknowledgeLapses('root')
    const grant = await consent(store.grants)
    await store.grants.changeGrant(changeOf(grant), [], null)
    const request = await ask(store.requests)
    await store.requests.changeRequest(stepOf(request), [], codeOf())
    const delivery = deliveryOf()
    await post(store, delivery)
    await store.outbox.leaseDeliveries(leaseOf(t0, t0 + 1, { limit: 1 }))
    await store.outbox.changeDelivery(settlementOf(delivery), [])
    await append(store.trail, session.id, contentOf(session.id))
    const token = await issue(store.tokens)
    const { next, replaces } = rotationOf(token)
    await store.tokens.createToken(next, hashOf(next.id), [], replaces)
    await store.tokens.changeToken(revocationOf(next), [])
    await store.tokens.touchTokens([{ id: token.id, at: t0 }], minute)
    const first = statements.filter((_, n) => statements[n - 1] === 'begin')
    expect(first).toHaveLength(16)
    for (const statement of first) expect(statement).toMatch(/^(delete|insert|update) /)
  })

  /** Pools that answer nothing to everything, and write it down. */
  function fakeDialect(server: 'postgres' | 'mysql', statements: string[]): Dialect {
    const release = () => {}
    if (server === 'postgres') {
      const query = async (statement: string) => {
        statements.push(statement)
        return { command: 'SELECT', rowCount: 0, rows: [] }
      }
      const pool = { connect: async () => ({ query, release }), end: async () => {} }
      return new PostgresDialect({ pool: pool as unknown as PostgresPool })
    }
    const query = (statement: string, _: unknown, done: (error: null, rows: []) => void) => {
      statements.push(statement)
      done(null, [])
    }
    type Take = (error: null, connection: object) => void
    const pool = { getConnection: (take: Take) => take(null, { query, release }), end: release }
    return new MysqlDialect({ pool: pool as unknown as MysqlPool })
  }

  for (const server of ['postgres', 'mysql'] as const) {
    it(`on ${server} passes by what is locked, and waits for no other's lease`, async () => {
      const statements: string[] = []
      const db = new Kysely({ dialect: fakeDialect(server, statements) })
      await kyselyStore(db).outbox.leaseDeliveries(leaseOf(t0, t0 + 1, { limit: 9 }))
      expect(statements.find((text) => /^select .*deliveries/.test(text))).toMatch(
        /order by .due_at., .id. limit \S+ for update skip locked$/,
      )
    })

    it(`on ${server} locks a request before any row of a session`, async () => {
      const statements: string[] = []
      const db = new Kysely({ dialect: fakeDialect(server, statements) })
      const request = { ...stepOf(requestOf()), events: [] }
      await kyselyStore(db).claimSession(claimOf(sessionOf(), { request }))
      const locks = statements.findIndex((text) => /requests.* for update$/.test(text))
      const writes = statements.findIndex((text) => /^(insert|update) /.test(text))
      expect(locks).toBeGreaterThan(0)
      expect(writes === -1 || writes > locks).toBe(true)
    })

    it(`on ${server} locks tokens in one order, whoever has used or erases them`, async () => {
      const statements: string[] = []
      const db = new Kysely({ dialect: fakeDialect(server, statements) })
      const { tokens, retention } = kyselyStore(db)
      await tokens.touchTokens([{ id: 'b', at: t0 }], minute)
      await retention.erasePerson('alice', 9, 9)
      const locks = statements.filter((text) => /tokens.* for update$/.test(text))
      expect(locks).toHaveLength(2)
      for (const text of locks) expect(text).toMatch(/ order by .id.( limit \S+)? for update$/)
    })

    it(`on ${server} changes the old token before it stores the new one`, async () => {
      const statements: string[] = []
      const db = new Kysely({ dialect: fakeDialect(server, statements) })
      const { next, replaces } = rotationOf(tokenOf())
      const { tokens } = kyselyStore(db)
      expect(await tokens.createToken(next, hashOf(next.id), [], replaces)).toBe('changed_since')
      expect(statements.filter((text) => /tokens/.test(text))).toEqual([
        expect.stringMatching(/^update /),
      ])
    })

    it(`on ${server} reads what is committed, whatever the server's default`, async () => {
      const statements: string[] = []
      const db = new Kysely({ dialect: fakeDialect(server, statements) })
      await kyselyStore(db).claimSession(claimOf())
      expect(statements[0]).toMatch(/transaction isolation level read committed$/)
    })
  }

  it('on Postgres takes its locks in one order, whoever asks', async () => {
    const locks: unknown[][] = []
    for (const [actorId, targetUserId] of [
      ['a', 'b'],
      ['b', 'a'],
      ['b', 'c'],
      ['c', 'b'],
    ] as const) {
      const statements: string[] = []
      const db = new Kysely({
        dialect: fakeDialect('postgres', statements),
        log: ({ query }) => {
          if (query.sql.includes('pg_advisory')) locks.push([...query.parameters])
        },
      })
      await kyselyStore(db).claimSession(claimOf(sessionOf({ actorId, targetUserId })))
    }
    expect(locks).toHaveLength(4)
    for (const numbers of locks) expect(numbers).toEqual([...numbers].sort())
    expect(new Set(locks.flat()).size).toBe(6)
  })
})

describe('a change that lost a race', () => {
  const failure = (fields: object, message = '') => Object.assign(new Error(message), fields)

  it('is tried again for what says that nothing happened', () => {
    for (const error of [
      new LostRace(),
      failure({ code: '40001' }),
      failure({ code: '40P01' }),
      failure({ errno: 1213 }),
      failure({ errno: 1205 }),
      failure({ errno: 1020 }),
      failure({ code: 'ERR_SQLITE_ERROR', errcode: 5 }),
      failure({ code: 'ERR_SQLITE_ERROR', errcode: 517 }),
      failure({ code: 'SQLITE_BUSY_SNAPSHOT' }),
      failure(
        { code: '23505' },
        'duplicate key value violates unique constraint "impersonation_sessions_active_actor_key"',
      ),
      failure(
        { errno: 1062 },
        "Duplicate entry 'root|' for key 'impersonation_sessions.impersonation_sessions_active_target_key'",
      ),
      failure(
        { errcode: 2067 },
        'UNIQUE constraint failed: impersonation_sessions.active_grant_key',
      ),
    ]) {
      expect(isTransient(error), JSON.stringify(error)).toBe(true)
    }
  })

  it('is not tried again for anything else', () => {
    for (const error of [
      undefined,
      'a string',
      new Error('active_actor_key'),
      failure({ code: 'ECONNRESET' }),
      failure({ code: '57P01' }, 'terminating connection due to administrator command'),
      failure({ errcode: 1555 }, 'UNIQUE constraint failed: impersonation_sessions.id'),
      failure(
        { code: '23505' },
        'duplicate key value violates unique constraint "impersonation_sessions_pkey"',
      ),
      failure({ errno: 1062 }, "Duplicate entry 'active_actor_key' for key 'PRIMARY'"),
      failure({ errcode: 13 }, 'database or disk is full'),
    ]) {
      expect(isTransient(error), String(error)).toBe(false)
    }
  })

  it('is tried until it succeeds', async () => {
    let left = 5
    const answer = await retried(async () => {
      if (left-- > 0) throw new LostRace()
      return 'done'
    })
    expect(answer).toBe('done')
  })

  it('is given up with its last error when its time is over', async () => {
    const last = failure({ errno: 1213 })
    await expect(retried(() => Promise.reject(last), 0)).rejects.toBe(last)
  })
})

describe('a crowd in one process', () => {
  it('comes one after the other where names are shared, and at once where not', async () => {
    const queue = createQueue()
    const running = new Set<string>()
    let together = 0
    const visit = (actor: string, target: string) =>
      queue([actor, target], async () => {
        expect(running.has(actor) || running.has(target)).toBe(false)
        running.add(actor).add(target)
        together = Math.max(together, running.size / 2)
        await new Promise((resolve) => setImmediate(resolve))
        running.delete(actor)
        running.delete(target)
      })
    const names = ['a', 'b', 'c']
    await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        visit(`actor ${names[n % 3]}`, `target ${names[Math.floor(n / 3) % 3]}`),
      ),
    )
    expect(together).toBeGreaterThan(1)
  })

  it('never waits in a circle', async () => {
    vi.useFakeTimers()
    try {
      const queue = createQueue()
      const visit = (names: string[]) => queue(names, async () => names.join())
      const visits = Promise.all([visit(['a', 'b']), visit(['b', 'a']), visit(['b', 'b'])])
      await vi.advanceTimersByTimeAsync(0)
      expect(await Promise.race([visits, 'waiting'])).toEqual(['a,b', 'b,a', 'b,b'])
    } finally {
      vi.useRealTimers()
    }
  })

  it('goes on after one that failed, and hands its error on', async () => {
    const queue = createQueue()
    const failing = queue(['a'], () => Promise.reject(new Error('failed')))
    const next = queue(['a'], async () => 'done')
    await expect(failing).rejects.toThrow('failed')
    expect(await next).toBe('done')
  })

  it('does not wait for ever for one that hangs', async () => {
    vi.useFakeTimers()
    try {
      const queue = createQueue()
      queue(['a'], () => new Promise(() => {}))
      const next = queue(['a'], async () => 'done')
      await vi.advanceTimersByTimeAsync(1_000)
      expect(await next).toBe('done')
    } finally {
      vi.useRealTimers()
    }
  })
})
