import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { type Address, type Connection, connect } from '../support/connect.ts'
import { describeOn, dropDatabase, kinds, makeDatabase } from '../support/databases.ts'
import { migrateAt } from '../support/migrate.ts'
import { type Servers, serveOn } from '../support/servers.ts'

const processes = 8
const rounds = Number(process.env.ROUNDS ?? 10)
vi.setConfig({ testTimeout: 60_000 + rounds * 2_000, hookTimeout: 60_000 })

const everyServer = Array.from({ length: processes }, (_, n) => n)
const start = (target: string) => ({ body: { target_user_id: target, reason: 'a race' } })

for (const kind of kinds) {
  describeOn(kind, `${processes} serving processes`, () => {
    let address: Address
    let rejecting: Servers
    let replacing: Servers
    let own: Connection

    beforeAll(async () => {
      address = await makeDatabase(kind)
      await migrateAt(address)
      own = connect(address)
      rejecting = await serveOn(address, processes, 'reject')
      replacing = await serveOn(address, 2)
    })
    afterAll(async () => {
      await rejecting.stop()
      await replacing.stop()
      await own.close()
      await dropDatabase(address)
    })

    it('one actor starts on all at once: one session', async () => {
      for (let round = 0; round < rounds; round++) {
        const answers = await Promise.all(
          everyServer.map((n) =>
            rejecting.call(n, `a-${round}`, 'POST', '/impersonation', start(`t-${round}-${n}`)),
          ),
        )
        expect(answers.map(({ status }) => status).toSorted()).toEqual([
          201,
          ...Array(processes - 1).fill(409),
        ])
      }
    })

    it('eight actors start with one target: one session', async () => {
      for (let round = 0; round < rounds; round++) {
        const answers = await Promise.all(
          everyServer.map((n) =>
            rejecting.call(n, `a-${round}-${n}`, 'POST', '/impersonation', start(`one-${round}`)),
          ),
        )
        expect(answers.map(({ status }) => status).toSorted()).toEqual([
          201,
          ...Array(processes - 1).fill(409),
        ])
      }
    })

    it('one actor starts and replaces on all at once: all answer 201, one is left', async () => {
      for (let round = 0; round < rounds; round++) {
        const actor = `a-replace-${round}`
        const answers = await Promise.all(
          everyServer.map((n) =>
            replacing.call(n % 2, actor, 'POST', '/impersonation', start(`r-${round}-${n}`)),
          ),
        )
        expect(answers.map(({ status }) => status)).toEqual(Array(processes).fill(201))
        expect(
          await own.store.listSessions({ actorId: actor, status: 'active' }, { limit: 9 }),
        ).toHaveLength(1)
      }
    })

    it('after a start on one process, a pinned write on another with a cached "none" never runs as the actor', async () => {
      const [one, other] = [0, 1]
      expect((await replacing.call(other, 'a-pin', 'GET', '/whoami')).text).toBe('a-pin')
      const started = await replacing.call(one, 'a-pin', 'POST', '/impersonation', {
        body: { target_user_id: 'customer', reason: 'a pin', access_level: 'interactive' },
      })
      const headers = { 'X-Impersonation-Session': JSON.parse(started.text).session_id }
      const written = await replacing.call(other, 'a-pin', 'POST', '/whoami', { headers })
      expect([written.status, written.text]).toEqual([200, 'customer'])
    })

    it('after a stop on one process, a pinned request on another is refused within two seconds', async () => {
      const started = await replacing.call(0, 'a-stop', 'POST', '/impersonation', start('somebody'))
      const headers = { 'X-Impersonation-Session': JSON.parse(started.text).session_id }
      expect((await replacing.call(1, 'a-stop', 'GET', '/whoami', { headers })).text).toBe(
        'somebody',
      )
      expect((await replacing.call(0, 'a-stop', 'POST', '/impersonation/stop')).status).toBe(200)
      const stopped = performance.now()
      for (;;) {
        const asked = performance.now()
        const answer = await replacing.call(1, 'a-stop', 'GET', '/whoami', { headers })
        if (answer.status === 401) break
        expect(answer.text).toBe('somebody')
        expect(asked - stopped, 'served too long after the end').toBeLessThan(2000)
      }
      expect((await replacing.call(0, 'a-stop', 'GET', '/whoami', { headers })).status).toBe(401)
    })
  })
}
