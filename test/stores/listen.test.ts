import { EventEmitter, once } from 'node:events'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  kyselyStore,
  type ListenClient,
  type ListenMessage,
  migrate,
} from '../../src/stores/kysely/index.ts'
import type { Store, StoreWatcher } from '../../src/stores/store.ts'
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
import { hashOf, issue, revocationOf, rotationOf } from '../../src/testing/store/token-fixtures.ts'
import { type Address, kyselyOn, servers, sqliteKysely } from '../support/connect.ts'
import { administer, describeOn, dropDatabase, makeDatabase } from '../support/databases.ts'

/** Writes down what a watcher is told, and lets a test wait for it. */
function notebook(silenceMs = 2000) {
  const news = new EventEmitter()
  const entries: string[] = []
  const write = (entry: string) => {
    entries.push(entry)
    news.emit('entry')
  }
  const watcher: StoreWatcher = {
    silenceMs,
    invalidate: (actorId) => write(`invalidate ${actorId}`),
    healthy: (up) => write(up ? 'up' : 'down'),
  }
  return {
    watcher,
    entries,
    /** The entries up to and with this one, which are then crossed out. */
    async until(entry: string): Promise<string[]> {
      while (!entries.includes(entry)) await once(news, 'entry')
      return entries.splice(0, entries.indexOf(entry) + 1)
    },
  }
}

describeOn('postgres', 'watching', () => {
  let address: Address & { database: string }
  let db: ReturnType<typeof kyselyOn>
  let store: Store
  const clients: pg.Client[] = []
  const stops: (() => void | Promise<void>)[] = []

  const listen = () => {
    const client = new pg.Client({ ...servers.postgres, database: address.database })
    clients.push(client)
    return client
  }
  function watch(watcher: StoreWatcher) {
    const stop = kyselyStore(db, { listen }).watch?.(watcher) ?? (() => {})
    stops.push(stop)
    return stop
  }

  beforeAll(async () => {
    address = (await makeDatabase('postgres')) as typeof address
    db = kyselyOn('postgres', address.database)
    await migrate(db)
  })
  afterAll(async () => {
    await db.destroy()
    await dropDatabase(address)
  })
  beforeEach(async () => {
    await db.deleteFrom('impersonation_sessions').execute()
    // Writes without listening, as another process might.
    store = kyselyStore(db)
  })
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop()
    clients.length = 0
  })

  it('is up once it hears, and asks for everything to be read again before', async () => {
    const { watcher, until } = notebook()
    watch(watcher)
    expect(await until('up')).toEqual(['invalidate null', 'up'])
  })

  it('tells whom every kind of change concerns, and only them', async () => {
    const { watcher, until, entries } = notebook()
    watch(watcher)
    await until('up')
    const first = await start(store, { actorId: 'röot | "x"' })
    expect(await until('invalidate röot | "x"')).toHaveLength(1)

    const change = { from: first.expiresAt, to: first.expiresAt + minute, now: t0 }
    await store.extendSession(first.id, change, extendedEvent)
    expect(await until(`invalidate ${first.actorId}`)).toHaveLength(1)

    await store.endSession(first.id, endingOf(), endedEvent)
    expect(await until(`invalidate ${first.actorId}`)).toHaveLength(1)

    await store.acknowledgeLapses(first.actorId)
    expect(await until(`invalidate ${first.actorId}`)).toHaveLength(1)

    await start(store, { actorId: 'old', expiresAt: t0 + 1 })
    await until('invalidate old')
    await start(store, { actorId: 'new', createdAt: t0 + 1 })
    expect((await until('invalidate new')).concat(entries).sort()).toEqual([
      'invalidate new',
      'invalidate old',
    ])
  })

  it('tells whose API token is new or changed, and of no use, refusal or change that is none', async () => {
    const { tokens } = kyselyStore(db)
    const { watcher, until } = notebook()
    watch(watcher)
    await until('up')
    const token = await issue(tokens, { userId: 'owner | "x"' })
    expect(await until('invalidate owner | "x"')).toHaveLength(1)
    await tokens.touchTokens([{ id: token.id, at: t0 }], minute)
    await tokens.changeToken(revocationOf({ ...token, revision: 9 }), [])
    const stale = rotationOf({ ...token, revision: 9 })
    await tokens.createToken(stale.next, hashOf(stale.next.id), [], stale.replaces)
    await tokens.createToken(token, hashOf('another'), [], null).catch(() => {})
    await tokens.changeToken(revocationOf(token), [])
    expect(await until('invalidate owner | "x"')).toHaveLength(1)
    const again = { ...token, revision: 2 }
    const { next, replaces } = rotationOf(again, { userId: 'another owner' })
    await tokens.createToken(next, hashOf(next.id), [], replaces)
    expect(await until('invalidate another owner')).toContain('invalidate another owner')
  })

  it('tells nothing of what did not happen', async () => {
    const { watcher, until } = notebook()
    const session = await start(store)
    watch(watcher)
    await until('up')
    await store.claimSession(claimOf(sessionOf()))
    await store.acknowledgeLapses('root')
    await store.endSession('nobody', endingOf(), endedEvent)
    const unmade = () => {
      throw new Error('no event')
    }
    await expect(store.endSession(session.id, endingOf(), unmade)).rejects.toThrow('no event')
    await start(store, { actorId: 'last', targetUserId: 'bob' })
    expect(await until('invalidate last')).toEqual(['invalidate last'])
  })

  it('holds an id of 255 emoji', async () => {
    const { watcher, until } = notebook()
    watch(watcher)
    await until('up')
    const actorId = '💥'.repeat(255)
    await start(store, { actorId })
    await until(`invalidate ${actorId}`)
  })

  it('says so when the connection is cut, and comes back by itself', async () => {
    const { watcher, until } = notebook()
    watch(watcher)
    await until('up')
    for (let round = 0; round < 3; round++) {
      await administer(
        'postgres',
        `select pg_terminate_backend(pid) from pg_stat_activity
          where datname = '${address.database}' and query like '%pg_notify%' and pid <> pg_backend_pid()`,
      )
      await until('down')
      await start(store, { actorId: `missed ${round}`, targetUserId: `target ${round}` })
      const missed = await until('up')
      expect(missed.slice(-2)).toEqual(['invalidate null', 'up'])
    }
    await start(store, { actorId: 'heard' })
    await until('invalidate heard')
  })

  it('tries again while Postgres cannot be reached, without a rejection of its own', async () => {
    const { watcher, until } = notebook()
    let attempts = 0
    const failing = () => {
      attempts += 1
      if (attempts === 1) throw new Error('no client')
      return attempts === 2 ? new pg.Client({ host: '127.0.0.1', port: 1 }) : listen()
    }
    stops.push(kyselyStore(db, { listen: failing }).watch?.(watcher) ?? (() => {}))
    expect(await until('up')).toEqual(['down', 'down', 'invalidate null', 'up'])
  })

  it('hears nothing after it was stopped, and leaves no connection', async () => {
    const { watcher, until, entries } = notebook()
    const stop = watch(watcher)
    await until('up')
    const [client] = clients
    const ended = client && once(client, 'end')
    await stop()
    await stop()
    await ended
    await start(store)
    expect(entries).toEqual([])
  })

  it('may be stopped before it was up', async () => {
    const { watcher, entries } = notebook()
    await watch(watcher)()
    expect(entries).toEqual([])
  })
})

describe('a silent connection', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
  afterEach(() => void vi.useRealTimers())

  /** Brings every notification back at once, unless told to swallow them. */
  function fakeClient(hears = () => true) {
    const events = new EventEmitter()
    const queries: string[] = []
    const client = {
      queries,
      ended: 0,
      connect: async () => {},
      async query(text: string, values?: string[]) {
        queries.push(text)
        if (!text.includes('pg_notify') || !hears()) return
        const [channel, payload] = values ?? []
        events.emit('notification', { channel, payload })
      },
      on: (event: string, listener: (message: ListenMessage) => void) => events.on(event, listener),
      async end() {
        client.ended += 1
        events.emit('end')
      },
      events,
    }
    return client satisfies ListenClient
  }

  const postgres = () => kyselyOn('postgres', 'never_connected')
  const turns = () => vi.advanceTimersByTimeAsync(0)

  it('is down at silenceMs after the last beat that came back was sent', async () => {
    let hears = true
    const client = fakeClient(() => hears)
    const { watcher, entries } = notebook(2000)
    const stop = kyselyStore(postgres(), { listen: () => client }).watch?.(watcher)
    await turns()
    expect(entries).toEqual(['invalidate null', 'up'])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(entries).toHaveLength(2)
    expect(client.queries.filter((text) => text.includes('pg_notify'))).toHaveLength(121)

    hears = false
    await vi.advanceTimersByTimeAsync(1999)
    expect(entries).toHaveLength(2)
    await vi.advanceTimersByTimeAsync(1)
    expect(entries.slice(2)).toEqual(['down'])
    expect(client.ended).toBe(1)
    await stop?.()
  })

  it('is never up before its own beat came back', async () => {
    const clients: ReturnType<typeof fakeClient>[] = []
    const listen = () => {
      const client = fakeClient(() => clients.length > 2)
      clients.push(client)
      return client
    }
    const { watcher, entries } = notebook(2000)
    const stop = kyselyStore(postgres(), { listen }).watch?.(watcher)
    await vi.advanceTimersByTimeAsync(4_999)
    expect(entries).toEqual([])
    await vi.advanceTimersByTimeAsync(6_000)
    expect(entries).toEqual(['down', 'down', 'invalidate null', 'up'])
    expect(clients.map(({ ended }) => ended)).toEqual([1, 1, 0])
    await stop?.()
  })

  it('heeds no message of a connection that is over, and none with a payload of its own', async () => {
    const clients: ReturnType<typeof fakeClient>[] = []
    const listen = () => {
      const client = fakeClient()
      clients.push(client)
      return client
    }
    const { watcher, entries } = notebook(2000)
    const stop = kyselyStore(postgres(), { listen }).watch?.(watcher)
    await turns()
    const say = (n: number, channel: string, payload?: string) =>
      clients[n]?.events.emit('notification', { channel, payload })
    say(0, 'onbehalf')
    say(0, 'onbehalf', '{"session":"forged"}')
    say(0, 'elsewhere', 'root')
    expect(entries.splice(0)).toEqual([
      'invalidate null',
      'up',
      'invalidate null',
      'invalidate {"session":"forged"}',
    ])
    clients[0]?.events.emit('error', new Error('cut'))
    clients[0]?.events.emit('end')
    expect(entries.splice(0)).toEqual(['down'])
    await vi.advanceTimersByTimeAsync(100)
    expect(entries.splice(0)).toEqual(['invalidate null', 'up'])
    say(0, 'onbehalf', 'late')
    clients[0]?.events.emit('error', new Error('late'))
    expect(entries).toEqual([])
    await stop?.()
    say(1, 'onbehalf', 'late')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(entries).toEqual([])
    expect(clients).toHaveLength(2)
  })

  const unreachable = {
    'cannot be made': () => {
      throw new Error('no client')
    },
    'is none': () => ({}),
    'cannot connect': () => ({ ...fakeClient(), connect: () => Promise.reject(new Error('no')) }),
    'hangs as it connects': () => ({ ...fakeClient(), connect: () => new Promise(() => {}) }),
  }
  for (const [what, makeClient] of Object.entries(unreachable)) {
    it(`that ${what} is tried again ever more rarely, until it is up`, async () => {
      let reachable = false
      let attempts = 0
      const listen = () => {
        attempts += 1
        return reachable ? fakeClient() : (makeClient() as ListenClient)
      }
      const { watcher, entries } = notebook(2000)
      const stop = kyselyStore(postgres(), { listen }).watch?.(watcher)
      await vi.advanceTimersByTimeAsync(120_000)
      expect(attempts).toBeGreaterThan(10)
      expect(attempts).toBeLessThan(60)
      expect(entries).not.toContain('up')
      reachable = true
      await vi.advanceTimersByTimeAsync(10_000)
      expect(entries.slice(-2)).toEqual(['invalidate null', 'up'])
      const before = attempts
      await vi.advanceTimersByTimeAsync(60_000)
      expect(attempts).toBe(before)
      await stop?.()
    })
  }
})

describe('the listen option', () => {
  it('is for Postgres, and a function', async () => {
    const sqlite = sqliteKysely(':memory:')
    expect(() => kyselyStore(sqlite, { listen: () => new pg.Client() })).toThrow(
      new TypeError('"listen" works on Postgres only.'),
    )
    const db = kyselyOn('postgres', 'never_connected')
    expect(() => kyselyStore(db, { listen: new pg.Client() as never })).toThrow(
      /^"listen" must be a function/,
    )
    expect(kyselyStore(db).watch).toBeUndefined()
  })
})
