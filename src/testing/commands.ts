import assert from 'node:assert/strict'
import type { Store } from '../stores/store.ts'
import { endings } from '../types.ts'
import { createDice, type Dice } from './dice.ts'
import { createModel } from './model.ts'
import { commands } from './store/commands.ts'
import { t0 } from './store/fixtures.ts'
import { grantCommands } from './store/grant-commands.ts'
import { outboxCommands } from './store/outbox-commands.ts'
import { requestCommands } from './store/request-commands.ts'
import { tokenCommands } from './store/token-commands.ts'
import { actors, pageFrom, type World } from './store/world.ts'

export interface RandomCommandsOptions {
  /** How many commands. @default 300 */
  readonly commands?: number
  /** Where the dice begin; a failure names it. @default a new one each time */
  readonly seed?: number
  /** A fresh store is taken after so many commands, so that long runs stay fast. @default 500 */
  readonly commandsPerStore?: number
  /** Called with each store once it is done with. @default its own `close()` */
  readonly cleanup?: (store: Store) => unknown
}

/**
 * Runs random commands against a store and a plain model of the contract, compares every answer,
 * and reads everything back at the end. `storeTests` does a few hundred; for a soak run, give a
 * count.
 *
 * @throws {Error} at the first difference, with the seed that finds it again and the last commands
 *
 * @example
 * await runRandomCommands(() => myStore(), { commands: 1_000_000 })
 */
export async function runRandomCommands(
  factory: () => Store | Promise<Store>,
  options: RandomCommandsOptions = {},
): Promise<void> {
  const { commands = 300, commandsPerStore = 500, cleanup = (store) => store.close?.() } = options
  const seed = options.seed ?? Math.floor(Math.random() * 2 ** 31)
  const dice = createDice(seed)
  for (let done = 0; done < commands; done += commandsPerStore) {
    const store = await factory()
    const log: string[] = []
    try {
      await runOn(store, dice, Math.min(commandsPerStore, commands - done), log)
    } catch (cause) {
      const last = log.slice(-10).join('\n  ')
      throw new Error(
        `Store and model differ (seed ${seed}, command ${done + log.length}):\n  ${last}\n${cause}`,
        { cause },
      )
    } finally {
      await cleanup(store)
    }
  }
}

async function runOn(store: Store, dice: Dice, count: number, log: string[]): Promise<void> {
  const world: World = { store, dice, model: createModel(), now: t0, serial: 0, log }
  const known = [
    ...commands,
    ...(store.grants ? grantCommands : []),
    ...(store.requests ? requestCommands : []),
    ...(store.outbox ? outboxCommands : []),
    ...(store.tokens ? tokenCommands : []),
  ]
  for (let n = 0; n < count; n++) {
    if (dice.oneIn(3)) world.now += dice.roll(4)
    await dice.pick(known)(world)
  }
  await compareEverything(world)
}

/** What rule after rule promises, looked up in the store itself rather than in single answers. */
async function compareEverything({ store, model, log }: World): Promise<void> {
  log.push('read everything back')
  const limit = 100_000
  const sessions = await store.listSessions({}, { limit })
  const events = await store.listEvents({}, { limit })
  assert.deepEqual(
    sessions,
    pageFrom(model.sessions, (session) => session.createdAt, { limit }),
  )
  assert.deepEqual(
    events,
    pageFrom(model.events, (event) => event.at, { limit }),
  )
  assert.deepEqual(
    (await store.grants?.listGrants({}, { limit })) ?? [],
    pageFrom(model.grants, (grant) => grant.createdAt, { limit }),
  )
  assert.deepEqual(
    (await store.requests?.listRequests({}, { limit })) ?? [],
    pageFrom(model.requests, (request) => request.createdAt, { limit }),
  )
  assert.deepEqual(
    (await store.outbox?.listDeliveries({}, { limit })) ?? [],
    pageFrom(model.deliveries, (delivery) => delivery.createdAt, { limit }),
  )
  assert.deepEqual(
    (await store.tokens?.listTokens({}, { limit })) ?? [],
    pageFrom(model.tokens, (token) => token.createdAt, { limit }),
  )
  for (const actorId of actors) {
    assert.deepEqual(await store.readStanding(actorId), model.standing(actorId))
  }
  const count = (suffix: string) =>
    events.filter((event) => event.action === `impersonation.${suffix}`).length
  const active = sessions.filter((session) => session.status === 'active')
  const ends = endings.reduce((sum, ending) => sum + count(ending), 0)
  assert.equal(count('started'), ends + active.length, 'starts are ends and active ones')
  const logins = active.filter((session) => session.transport === 'session')
  const holders = new Set(logins.map((session) => session.actorId))
  assert.equal(holders.size, logins.length, 'one active session per actor')
}
