import { Hono } from 'hono'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { impersonate } from '../../adapters/hono.ts'
import { createImpersonation } from '../../src/index.ts'
import type { Connection } from '../support/connect.ts'
import { type Address, connect } from '../support/connect.ts'
import { administer, describeOn, dropDatabase, makeDatabase } from '../support/databases.ts'
import { migrateAt } from '../support/migrate.ts'

vi.setConfig({ testTimeout: 60_000 })

interface User {
  id: string
  isSuperuser: boolean
}

/** A database that is taken away under load, and given back. */
describeOn('postgres', 'a store that dies under load', () => {
  let address: Address & { kind: 'postgres' | 'mysql' }
  let connection: Connection
  let clock = Date.parse('2026-01-01T00:00:00Z')

  beforeAll(async () => {
    address = (await makeDatabase('postgres')) as typeof address
    await migrateAt(address)
    connection = connect(address, 4)
  })
  afterAll(async () => {
    await connection.close()
    await dropDatabase(address)
  })

  const allow = (up: boolean) =>
    administer('postgres', `alter database ${address.database} allow_connections ${up}`)
  const cut = () =>
    administer(
      'postgres',
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${address.database}'`,
    )

  it('answers the actor as the target or with 503, never as themselves, and users as ever', async () => {
    const users: User[] = ['root', 'alice', 'bob'].map((id) => ({ id, isSuperuser: id === 'root' }))
    const impersonation = createImpersonation<User>({
      store: connection.store,
      findUser: (id) => users.find((user) => user.id === id),
      can: (user) => user.isSuperuser,
      now: () => clock,
    })
    const app = new Hono<{ Variables: { user: User | undefined } }>()
    app.use((c, next) => {
      c.set(
        'user',
        users.find(({ id }) => c.req.header('authorization') === `Bearer ${id}`),
      )
      return next()
    })
    app.use(impersonate(impersonation))
    app.all('/whoami', (c) => c.text(c.get('user')?.id ?? 'nobody'))
    const call = async (id: string, method = 'GET', path = '/whoami', body?: unknown) => {
      const headers = {
        Authorization: `Bearer ${id}`,
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
      }
      const response = await app.request(path, {
        method,
        headers,
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      return {
        status: response.status,
        text: await response.text(),
        retry: response.headers.get('retry-after'),
      }
    }

    const body = { target_user_id: 'alice', reason: 'load', access_level: 'interactive' }
    expect((await call('root', 'POST', '/impersonation', body)).status).toBe(201)

    const seen = { alice: 0, refused: 0 }
    const round = async () => {
      clock += 500
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, n) =>
          call(n % 4 === 3 ? 'bob' : 'root', n % 2 ? 'POST' : 'GET'),
        ),
      )
      answers.forEach(({ status, text, retry }, n) => {
        if (n % 4 === 3) expect([status, text]).toEqual([200, 'bob'])
        else if (status === 503) {
          expect(retry).toBe('1')
          seen.refused++
        } else {
          expect([status, text]).toEqual([200, 'alice'])
          seen.alice++
        }
      })
    }

    for (let n = 0; n < 10; n++) await round()
    expect(seen.refused).toBe(0)
    await allow(false)
    await cut()
    for (let n = 0; n < 10; n++) await round()
    expect(seen.refused, 'it was down for five seconds by the clock').toBeGreaterThan(0)
    // Stopping can't be written down now, and says so; nobody is let through as themselves for it.
    expect((await call('root', 'POST', '/impersonation/stop')).status).toBe(503)
    await round()
    await allow(true)
    clock += 2000
    expect(await call('root')).toMatchObject({ status: 200, text: 'alice' })
    expect((await call('root', 'POST', '/impersonation/stop')).status).toBe(200)
    expect(await call('root')).toMatchObject({ status: 200, text: 'root' })
    await impersonation.close()
  })
})
