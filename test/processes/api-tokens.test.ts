import { once } from 'node:events'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { type Address, type Connection, connect } from '../support/connect.ts'
import { startWorker } from '../support/crew.ts'
import { describeOn, dropDatabase, kinds, makeDatabase } from '../support/databases.ts'
import { migrateAt } from '../support/migrate.ts'

const rounds = Number(process.env.ROUNDS ?? 2)
const processes = 3
vi.setConfig({ testTimeout: 60_000 + rounds * 5_000, hookTimeout: 60_000 })

interface Answer {
  readonly status: number
  readonly text: string
}

/** Processes that serve API tokens on one store. */
async function serveOn(address: Address, listens: boolean) {
  const workers = Array.from({ length: processes }, () => startWorker('api-token-worker.ts'))
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  const urls: string[] = await Promise.all(
    workers.map(async (worker) => {
      const told = once(worker, 'message')
      worker.send({ address, listens })
      return (await told)[0].url
    }),
  )
  async function call(
    n: number,
    route: string,
    { token = '', body }: { token?: string; body?: unknown } = {},
  ): Promise<Answer> {
    const [method = '', path = ''] = route.split(' ')
    const response = await fetch(`${urls[n]}${path === '/whoami' ? '' : '/impersonation'}${path}`, {
      method,
      headers: {
        'Sec-Fetch-Site': 'same-origin',
        ...(token ? { Authorization: `Bearer ${token}` } : { Cookie: 'sid=root' }),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return { status: response.status, text: await response.text() }
  }
  return {
    call,
    async issue(userId: string): Promise<{ id: string; token: string }> {
      const body = { user_id: userId, name: 'a program', scopes: ['read'] }
      const { status, text } = await call(0, 'POST /tokens', { body })
      if (status !== 201) throw new Error(text)
      return JSON.parse(text)
    },
    whoami: (n: number, token: string) => call(n, 'GET /whoami', { token }),
    async stop() {
      const gone = workers.map((worker) => once(worker, 'exit'))
      for (const worker of workers) worker.disconnect()
      await Promise.all(gone)
    },
  }
}

const everyServer = Array.from({ length: processes }, (_, n) => n)
const wayOf = (listens: boolean) => (listens ? 'that listen' : 'that do not listen')

for (const kind of kinds) {
  for (const listens of kind === 'postgres' ? [false, true] : [false]) {
    describeOn(kind, `${processes} processes ${wayOf(listens)}`, () => {
      let address: Address
      let servers: Awaited<ReturnType<typeof serveOn>>
      let own: Connection

      beforeAll(async () => {
        address = await makeDatabase(kind)
        await migrateAt(address)
        own = connect(address)
        servers = await serveOn(address, listens)
      })
      afterAll(async () => {
        await servers.stop()
        await own.close()
        await dropDatabase(address)
      })

      /** Asks until it is refused: from then on it always is, and never later than two seconds after. */
      async function refusedWithin(n: number, token: string, owner: string, since: number) {
        for (;;) {
          const asked = performance.now()
          const { status, text } = await servers.whoami(n, token)
          if (status === 401) break
          expect([status, text]).toEqual([200, owner])
          expect(asked - since, 'served too long after it was taken back').toBeLessThan(2000)
        }
        const took = performance.now() - since
        for (const _ of everyServer) expect((await servers.whoami(n, token)).status).toBe(401)
        return took
      }

      it('a token is good on all at once, and on none within two seconds after it was taken back', async () => {
        const delays: number[] = []
        for (let round = 0; round < rounds; round++) {
          const { id, token } = await servers.issue(`user-${round}`)
          for (const n of everyServer)
            expect((await servers.whoami(n, token)).text).toBe(`user-${round}`)
          expect((await servers.call(0, `DELETE /tokens/${id}`)).status).toBe(200)
          const since = performance.now()
          expect((await servers.whoami(0, token)).status).toBe(401)
          const others = everyServer.slice(1)
          delays.push(
            ...(await Promise.all(
              others.map((n) => refusedWithin(n, token, `user-${round}`, since)),
            )),
          )
        }
        if (process.env.ROUNDS) {
          const sorted = delays.toSorted((a, b) => a - b)
          const at = (part: number) => Math.round(sorted[Math.ceil(sorted.length * part) - 1] ?? 0)
          console.log(`${kind}, ${wayOf(listens)}: refused after ${at(0.5)} ms, p99 ${at(0.99)} ms`)
        }
      })

      it('a program rotates its token on all at once: it gets one, and the rest is refused', async () => {
        for (let round = 0; round < rounds; round++) {
          const { id, token } = await servers.issue(`robot-${round}`)
          const answers = await Promise.all(
            everyServer.map((n) =>
              servers.call(n, `POST /tokens/${id}/rotate`, { token, body: {} }),
            ),
          )
          const made = answers.filter(({ status }) => status === 201)
          expect([round, made.length, ...answers.map(({ status }) => status).sort()]).toEqual([
            ...[round, 1, 201],
            ...Array(processes - 1).fill(409),
          ])
          const { token: next } = JSON.parse(made[0]?.text ?? '')
          for (const n of everyServer)
            for (const each of [token, next])
              expect((await servers.whoami(n, each)).text).toBe(`robot-${round}`)
        }
      })

      it('a token that is rotated and taken back at the same time leaves nothing that is good', async () => {
        for (let round = 0; round < rounds; round++) {
          const { id, token } = await servers.issue(`robot-x${round}`)
          const [rotated, revoked] = await Promise.all([
            servers.call(1, `POST /tokens/${id}/rotate`, { token, body: {} }),
            servers.call(2, `DELETE /tokens/${id}`),
          ])
          expect(revoked.status).toBe(200)
          expect([201, 401, 409]).toContain(rotated.status)
          const next = rotated.status === 201 ? JSON.parse(rotated.text).token : token
          const left = await own.store.tokens?.listTokens(
            { userId: `robot-x${round}` },
            { limit: 9 },
          )
          expect(left?.map(({ revokedAt }) => revokedAt !== null)).not.toContain(false)
          const since = performance.now()
          for (const each of new Set([token, next]))
            for (const n of everyServer) await refusedWithin(n, each, `robot-x${round}`, since)
        }
      })

      it('used on all at once, its last use is written once', async () => {
        const { id, token } = await servers.issue('busy')
        const seen = new Set<number>()
        for (let last: number | null = null; last === null; ) {
          await Promise.all(everyServer.map((n) => servers.whoami(n, token)))
          last = (await own.store.tokens?.readToken(id))?.lastUsedAt ?? null
        }
        for (const _ of Array.from({ length: 20 })) {
          await Promise.all(everyServer.map((n) => servers.whoami(n, token)))
          // Each process stores what waits before it gives a list.
          await Promise.all(everyServer.map((n) => servers.call(n, 'GET /tokens')))
          seen.add((await own.store.tokens?.readToken(id))?.lastUsedAt ?? 0)
        }
        expect([...seen]).toEqual([expect.closeTo(Date.now(), -5)])
        expect((await own.store.tokens?.readToken(id))?.revision).toBe(1)
      })
    })
  }
}
