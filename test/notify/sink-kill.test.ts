import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { createImpersonation, type Store } from '../../src/index.ts'
import { type Address, connect } from '../support/connect.ts'
import { startWorker } from '../support/crew.ts'
import { connectionsTo, describeOn, dropDatabase, makeDatabase } from '../support/databases.ts'
import { migrateAt } from '../support/migrate.ts'
import { byId, eventRows, sinkOf, wireOf } from './sink-support.ts'
import { outboxOf } from './support.ts'

const kills = Number(process.env.KILLS ?? 9)
const atOnce = 3
vi.setConfig({ testTimeout: 60_000 + kills * 5_000 })

/** Kills a process somewhere in its work: the steps it reports are behind what it does. */
async function killOne(address: Address, outgoing: string): Promise<void> {
  const worker = startWorker('../notify/sink-worker.ts', JSON.stringify(address), outgoing)
  const exit = once(worker, 'exit')
  let steps = 3 + Math.floor(Math.random() * 20)
  worker.on('message', () => {
    if (--steps === 0) worker.kill('SIGKILL')
  })
  const [code, signal] = await exit
  expect({ code, signal }, 'killed, not failed').toEqual({ code: null, signal: 'SIGKILL' })
}

type Told = Readonly<Record<string, unknown>>

/** A line that its writer died over was not sent: what stands in it is sent again. */
function parsed(line: string): Told[] {
  try {
    return [JSON.parse(line)]
  } catch {
    return []
  }
}

/** One more process, long after the leases of the dead. */
async function deliverTheRest(store: Store): Promise<readonly Told[]> {
  const sink = sinkOf()
  const impersonation = createImpersonation({
    store,
    findUser: (id) => ({ id }),
    can: () => false,
    now: () => Date.now() + 120_000,
    audit: { sink },
  })
  await impersonation.outbox.deliver()
  return sink.events
}

for (const kind of ['sqlite', 'postgres'] as const) {
  describeOn(kind, `every event reaches the sink, under kill -9, ${kills} times`, () => {
    it('at least once, as it is on record', async () => {
      const address = await makeDatabase(kind)
      const directory = await mkdtemp(join(tmpdir(), 'onbehalf-sink-'))
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
        const before = (await readFile(outgoing, 'utf8')).split('\n').flatMap(parsed)
        const rest = await deliverTheRest(store)
        const sent = [...before, ...rest]

        const told = new Map(sent.map((event) => [event.id, event]))
        const recorded = await wireOf(store)
        expect([...told.values()].sort(byId)).toEqual(recorded)
        expect(new Set(recorded.map(({ outcome }) => outcome)).size).toBe(2)
        for (const row of await eventRows(store)) {
          expect(row).toMatchObject({ status: 'sent', payload: {} })
        }
        const waiting = { status: 'pending' } as const
        expect(await outboxOf(store).listDeliveries(waiting, { limit: 1 })).toEqual([])

        console.log(
          `${kind}: ${kills} kills, ${recorded.length} events, ${rest.length} after the last kill, ` +
            `${sent.length - told.size} sent twice`,
        )
        expect(before.length, 'some were sent by those who were killed').toBeGreaterThan(0)
      } finally {
        await close()
        await dropDatabase(address)
        await rm(directory, { recursive: true })
      }
    })
  })
}
