import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { createImpersonation, type Store } from '../../src/index.ts'
import { allEvents, allSessions } from '../../src/testing/store/fixtures.ts'
import { type Address, connect } from '../support/connect.ts'
import { startWorker } from '../support/crew.ts'
import { connectionsTo, describeOn, dropDatabase, makeDatabase } from '../support/databases.ts'
import { migrateAt } from '../support/migrate.ts'
import { outboxOf } from './support.ts'

const kills = Number(process.env.KILLS ?? 30)
const atOnce = 3
vi.setConfig({ testTimeout: 60_000 + kills * 5_000 })

/** Kills a process somewhere in its work: the steps it reports are behind what it does. */
async function killOne(address: Address, outgoing: string): Promise<void> {
  const worker = startWorker('../notify/told-worker.ts', JSON.stringify(address), outgoing)
  const exit = once(worker, 'exit')
  let steps = 1 + Math.floor(Math.random() * 20)
  worker.on('message', () => {
    if (--steps === 0) worker.kill('SIGKILL')
  })
  const [code, signal] = await exit
  expect({ code, signal }, 'killed, not failed').toEqual({ code: null, signal: 'SIGKILL' })
}

interface Sent {
  readonly id: string
  readonly sessionId: string | null
  readonly kind: string
}

const read = async (file: string): Promise<Sent[]> =>
  (await readFile(file, 'utf8'))
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))

/** One more process, long after the leases of the dead. */
async function deliverTheRest(store: Store): Promise<Sent[]> {
  const sent: Sent[] = []
  const impersonation = createImpersonation({
    store,
    findUser: (id) => ({ id }),
    can: () => false,
    now: () => Date.now() + 120_000,
    notifier: {
      channels: ({ id }) => [{ channel: 'mail', to: `${id}@example.com` }],
      send: (notification) => void sent.push(notification),
    },
  })
  await impersonation.outbox.deliver()
  return sent
}

for (const kind of ['sqlite', 'postgres'] as const) {
  describeOn(kind, `told at least once, under kill -9, ${kills} times`, () => {
    it('whatever started and ended, with the same id each time', async () => {
      const address = await makeDatabase(kind)
      const directory = await mkdtemp(join(tmpdir(), 'onbehalf-sent-'))
      const outgoing = join(directory, 'sent.jsonl')
      await migrateAt(address)
      const { store, close } = connect(address)
      try {
        let more = kills
        const killer = async () => {
          while (more-- > 0) await killOne(address, outgoing)
        }
        await Promise.all(Array.from({ length: atOnce }, killer))
        // The server may still be at work for the dead.
        while ((await connectionsTo(address)) > 0);
        const before = await read(outgoing)
        const left = await outboxOf(store).listDeliveries({ status: 'pending' }, { limit: 9999 })
        const rest = await deliverTheRest(store)
        const sent = [...before, ...rest]

        const told = new Set(sent.map(({ id }) => id))
        const events = (await allEvents(store)).filter(({ action }) =>
          /^impersonation\.(started|stopped|replaced|expired|revoked)$/.test(action),
        )
        const untold = events.filter(({ id }) => !told.has(`${id}:mail`))
        expect(untold, 'events that nobody was told of').toEqual([])
        expect([...told].sort()).toEqual(events.map(({ id }) => `${id}:mail`).sort())
        const started = new Set(
          sent.flatMap(({ kind, sessionId }) => (kind === 'session_started' ? [sessionId] : [])),
        )
        const sessions = await allSessions(store)
        expect(sessions.filter(({ id }) => !started.has(id))).toEqual([])
        expect(
          await outboxOf(store).listDeliveries({ status: 'pending' }, { limit: 9 }),
          'nothing is left',
        ).toEqual([])

        console.log(
          `${kind}: ${kills} kills, ${sessions.length} sessions, ${told.size} messages, ` +
            `${left.length} waiting after the last kill, ${sent.length - told.size} sent twice`,
        )
        expect(sessions.length).toBeGreaterThan(kills)
        expect(before.length, 'some were sent by those who were killed').toBeGreaterThan(0)
        expect(left.length, 'some were not').toBeGreaterThan(0)
      } finally {
        await close()
        await dropDatabase(address)
        await rm(directory, { recursive: true })
      }
    })
  })
}
