/** Stores with one fault each: the suite is worth what it catches. */
import { describe, expect, it } from 'vitest'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Store } from '../../src/stores/store.ts'
import { runRandomCommands } from '../../src/testing/commands.ts'
import { storeTests } from '../../src/testing/store-tests.ts'
import {
  chainSabotages,
  grantSealSabotages,
  requestSealSabotages,
  sealSabotages,
} from './chain-sabotages.ts'
import { consentSabotages, grantSabotages, type Sabotage } from './grant-sabotages.ts'
import { deliverySabotages, grantDeliverySabotages, outboxSabotages } from './outbox-sabotages.ts'
import { requestedSabotages, requestSabotages } from './request-sabotages.ts'
import { retainedSabotages } from './retained-sabotages.ts'
import { retentionSabotages } from './retention-sabotages.ts'
import { tokenSabotages } from './token-sabotages.ts'
import { grantTrailSabotages, trailEndingSabotages } from './trail-ending-sabotages.ts'
import { trailListSabotages } from './trail-list-sabotages.ts'
import { trailSabotages } from './trail-sabotages.ts'

const sabotages: Record<string, Sabotage> = {
  'gives an actor a second session': (store) => {
    const spare = memoryStore()
    return {
      claimSession: async (claim) => {
        const result = await store.claimSession(claim)
        return result.outcome === 'actor_busy' ? spare.claimSession(claim) : result
      },
    }
  },
  'takes every target for shared': (store) => ({
    claimSession: (claim) => store.claimSession({ ...claim, exclusiveTarget: false }),
  }),
  'always replaces': (store) => ({
    claimSession: (claim) => store.claimSession({ ...claim, onConflict: 'replace' }),
  }),
  'never replaces': (store) => ({
    claimSession: (claim) => store.claimSession({ ...claim, onConflict: 'reject' }),
  }),
  'does not know grants': (store) => ({
    claimSession: (claim) =>
      store.claimSession({ ...claim, session: { ...claim.session, grantId: null } }),
  }),
  'takes tokens for logins': (store) => ({
    claimSession: (claim) =>
      store.claimSession({ ...claim, session: { ...claim.session, transport: 'session' } }),
  }),
  'reads first and writes after': (store) => ({
    claimSession: async (claim) => {
      const { active } = await store.readStanding(claim.session.actorId)
      await new Promise((resolve) => setImmediate(resolve))
      if (active) return store.claimSession(claim)
      const actorId = `${claim.session.actorId} `
      return store.claimSession({ ...claim, session: { ...claim.session, actorId } })
    },
  }),
  'lets the old session go before it refuses': (store) => ({
    claimSession: async (claim) => {
      const result = await store.claimSession(claim)
      if (result.outcome !== 'target_busy') return result
      const { active } = await store.readStanding(claim.session.actorId)
      const ending = { status: 'replaced', reason: 'replaced', at: claim.now, by: null } as const
      if (active) {
        await store.endSession(
          active.id,
          { ...ending, note: null, acknowledged: true },
          claim.events.ended,
        )
      }
      return result
    },
  }),
  'closes expired sessions a millisecond late': (store) => ({
    claimSession: (claim) => store.claimSession({ ...claim, now: claim.now - 1 }),
  }),
  'closes sessions a millisecond early': (store) => ({
    claimSession: (claim) => store.claimSession({ ...claim, now: claim.now + 1 }),
  }),
  'does not tell what it ended': (store) => ({
    claimSession: async (claim) => ({ ...(await store.claimSession(claim)), ended: [] }),
  }),
  'forgets the event of a start': (store) => ({
    claimSession: (claim) => {
      const started = { ...claim.events.started, id: crypto.randomUUID() }
      return store.claimSession({ ...claim, events: { ...claim.events, started } })
    },
  }),
  'stores the event of an ending afterwards': (store) => ({
    endSession: async (id, ending, event) => {
      const result = await store.endSession(id, ending, null)
      if (result?.changed && event) await store.appendEvents(event(result.session, null))
      return result
    },
  }),
  'stores the event of an extension for no session': (store) => ({
    extendSession: (id, change, event) =>
      store.extendSession(id, change, (session) =>
        event(session).map((one) => ({ ...one, sessionId: null })),
      ),
  }),
  'acknowledges at the start even where it refuses': (store) => ({
    claimSession: async (claim) => {
      const result = await store.claimSession(claim)
      await store.acknowledgeLapses(claim.session.actorId)
      return result
    },
  }),
  'knows no lapse': (store) => ({
    readStanding: async (actorId) => ({ ...(await store.readStanding(actorId)), lapse: null }),
  }),
  'takes every ending for known': (store) => ({
    endSession: (id, ending, event) =>
      store.endSession(id, { ...ending, acknowledged: true }, event),
  }),
  'takes no ending for known': (store) => ({
    endSession: (id, ending, event) =>
      store.endSession(id, { ...ending, acknowledged: false }, event),
  }),
  'acknowledges nothing': () => ({ acknowledgeLapses: async () => {} }),
  'hides what is over by the clock': (store) => ({
    readStanding: async (actorId) => {
      const standing = await store.readStanding(actorId)
      const over = standing.active && standing.active.expiresAt - standing.active.createdAt < 2
      return over ? { ...standing, active: null } : standing
    },
  }),
  'says of every ending that it was the one': (store) => ({
    endSession: async (id, ending, event) => {
      const result = await store.endSession(id, ending, event)
      return result && { ...result, changed: true }
    },
  }),
  'ends again what has ended': (store) => ({
    endSession: async (id, ending, event) => {
      const result = await store.endSession(id, ending, event)
      if (result && !result.changed && event) {
        await store.appendEvents(event(result.session, null))
      }
      return result
    },
  }),
  'extends from any expiry': (store) => ({
    extendSession: async (id, change, event) => {
      const from = (await store.readSession(id))?.expiresAt ?? change.from
      return store.extendSession(id, { ...change, from }, event)
    },
  }),
  'extends what is over': (store) => ({
    extendSession: (id, change, event) => store.extendSession(id, { ...change, now: 0 }, event),
  }),
  'takes no notice of case': (store) => ({
    readStanding: (actorId) => store.readStanding(actorId.toLowerCase()),
  }),
  'drops spaces at the end': (store) => ({
    readSession: (id) => store.readSession(id.trimEnd()),
  }),
  'ends a session by a look-alike of its id': (store) => ({
    endSession: (id, ending, event) => store.endSession(id.normalize('NFC').trim(), ending, event),
  }),
  'cuts long ids': (store) => ({
    readStanding: (actorId) => store.readStanding(actorId.slice(0, 255)),
  }),
  'ends strings at NUL': (store) => ({
    readStanding: (actorId) => store.readStanding(actorId.split('\0')[0] ?? ''),
  }),
  'replaces what is no UTF-8': (store) => ({
    readStanding: (actorId) => store.readStanding(actorId.toWellFormed()),
  }),
  'cuts long reasons': (store) => ({
    claimSession: (claim) => {
      const reason = claim.session.reason?.slice(0, 500) ?? null
      return store.claimSession({ ...claim, session: { ...claim.session, reason } })
    },
  }),
  'fails to stop over a note': (store) => ({
    endSession: async (id, ending, event) => {
      if (ending.note?.includes('\0')) throw new Error('invalid byte sequence')
      return store.endSession(id, ending, event)
    },
  }),
  'lists oldest first': (store) => ({
    listSessions: async (filter, page) => (await store.listSessions(filter, page)).reverse(),
  }),
  'pages by the instant alone': (store) => ({
    listSessions: (filter, { limit, before }) =>
      store.listSessions(filter, { limit, before: before && { at: before.at, id: '' } }),
  }),
  'gives a row more than the limit': (store) => ({
    listEvents: (filter, page) => store.listEvents(filter, { ...page, limit: page.limit + 1 }),
  }),
  "lists by the actor's organisation": (store) => ({
    listSessions: async (filter, page) => {
      const rows = await store.listSessions({}, { limit: 1e6 })
      const { orgId, ...rest } = filter
      if (orgId === undefined) return store.listSessions(rest, page)
      return rows.filter((row) => row.actorOrgId === orgId).slice(0, page.limit)
    },
  }),
  'takes no filter but the first': (store) => ({
    listSessions: (filter, page) => {
      const [first] = Object.entries(filter)
      return store.listSessions(first ? { [first[0]]: first[1] } : {}, page)
    },
  }),
  'takes a prefix for a pattern': (store) => ({
    listEvents: (filter, page) =>
      store.listEvents(
        filter.action?.endsWith('*')
          ? { ...filter, action: filter.action.replace('_*', '.*').toLowerCase() }
          : filter,
        page,
      ),
  }),
  'stores half of a batch': (store) => ({
    appendEvents: async (events) => {
      for (const event of events) await store.appendEvents([event])
    },
  }),
  'hands out what it keeps': (store) => {
    const kept = new Map<string, object>()
    return {
      readSession: async (id) => {
        const session = await store.readSession(id)
        if (session && !kept.has(id)) kept.set(id, { ...session })
        return (kept.get(id) as typeof session) ?? null
      },
    }
  },
}

interface Collected {
  readonly name: string
  readonly run: () => Promise<void>
}

function collect(factory: () => Store): Collected[] {
  const collected: Collected[] = []
  storeTests(
    {
      describe: (_, define) => define(),
      it: (name, run) => void collected.push({ name, run }),
    },
    factory,
    { seed: 7 },
  )
  return collected
}

async function failures(factory: () => Store): Promise<string[]> {
  const failed: string[] = []
  for (const { name, run } of collect(factory)) {
    await run().catch(() => failed.push(name))
  }
  return failed
}

/** What only the dice find has no rule of its own yet. */
const isRule = (name: string) => name !== 'answer as the model of the contract does'

const sections = [
  ...(['grants', 'requests', 'outbox', 'chain', 'trail', 'tokens', 'retention'] as const),
] as const

/** A fault of a section as one of the store that has it. */
const inSection = <Name extends (typeof sections)[number]>(
  name: Name,
  faults: Record<string, (section: NonNullable<Store[Name]>, store: Store) => object>,
): Record<string, Sabotage> =>
  Object.fromEntries(
    Object.entries(faults).map(([fault, sabotage]): [string, Sabotage] => [
      fault,
      (store) => {
        const section = store[name] as NonNullable<Store[Name]>
        return { [name]: { ...section, ...sabotage(section, store) } }
      },
    ]),
  )

const everySabotage = {
  ...{ ...sabotages, ...consentSabotages, ...requestedSabotages, ...deliverySabotages },
  ...{ ...sealSabotages, ...retainedSabotages, ...trailEndingSabotages },
  ...inSection('grants', { ...grantSabotages, ...grantDeliverySabotages, ...grantSealSabotages }),
  ...inSection('requests', { ...requestSabotages, ...requestSealSabotages }),
  ...inSection('outbox', outboxSabotages),
  ...inSection('grants', grantTrailSabotages),
  ...inSection('chain', chainSabotages),
  ...inSection('trail', { ...trailSabotages, ...trailListSabotages }),
  ...inSection('tokens', tokenSabotages),
  ...inSection('retention', retentionSabotages),
}

describe('storeTests', () => {
  it('pass a store that keeps the contract', async () => {
    expect(await failures(memoryStore)).toEqual([])
  })

  for (const [fault, sabotage] of Object.entries(everySabotage)) {
    it(`catch a store that ${fault}`, async () => {
      const failed = await failures(() => {
        const store = memoryStore()
        return { ...store, ...sabotage(store) }
      })
      expect(failed.filter(isRule)).not.toEqual([])
    })
  }

  it('pass by a store without a section, in groups that say so', async () => {
    for (const missing of sections) {
      const factory = () => ({ ...memoryStore(), [missing]: undefined })
      expect(await failures(factory as () => Store), missing).toEqual([])
    }
    const none = Object.fromEntries(sections.map((name) => [name, undefined]))
    expect(await failures(() => ({ ...memoryStore(), ...none }) as Store)).toEqual([])
    const groups: string[] = []
    storeTests({ describe: (name) => groups.push(name), it: () => {} }, memoryStore)
    expect(groups).toContain('grants, where the store has them')
    expect(groups).toContain('requests, where the store has them')
    expect(groups).toContain('the outbox, where the store has it')
    expect(groups).toContain('API tokens, where the store has them')
  })

  it('clean up after every test, by the option or by close', async () => {
    let [made, cleaned, closed] = [0, 0, 0]
    const factory = () => {
      made += 1
      return { ...memoryStore(), close: async () => void closed++ }
    }
    await failures(factory)
    expect(closed).toBe(made)
    const tests: Collected[] = []
    storeTests(
      { describe: (_, define) => define(), it: (name, run) => void tests.push({ name, run }) },
      factory,
      { cleanup: () => cleaned++ },
    )
    made = 0
    for (const { run } of tests) await run()
    expect(cleaned).toBe(made)
  })
})

describe('random commands', () => {
  it('are the same for the same seed, and a failure names it', async () => {
    const broken = () => {
      const store = memoryStore()
      return { ...store, ...sabotages['knows no lapse']?.(store) }
    }
    const run = (seed: number) =>
      runRandomCommands(broken, { commands: 1000, seed }).then(
        () => 'passed',
        (error: Error) => error.message,
      )
    const message = await run(42)
    expect(message).toMatch(/seed 42, command \d+/)
    expect(await run(42)).toBe(message)
    expect(await run(43)).not.toBe(message)
  })

  it('find lost endings, lapses and doubles by themselves', async () => {
    for (const name of [
      'takes every ending for known',
      'acknowledges nothing',
      'extends from any expiry',
      'takes every target for shared',
      'closes expired sessions a millisecond late',
      'pages by the instant alone',
      'says of every ending that it was the one',
      'starts under a grant whatever became of it',
      'leaves grants as they are when their sessions end',
      'leaves the grants of the sessions that a start ends',
      'starts on a request whatever became of it',
      'changes a request from any revision',
      'keeps no code that came with a change',
      'delivers nothing where a start ends another session',
      'hands out a millisecond late',
      'counts no attempts',
      'brings along anew what is stored already',
      'replaces a token whatever became of it',
      'changes a token from any revision',
      'keeps the use that a change brings',
      'keeps a use a millisecond early',
      'takes a hash a second time',
    ]) {
      const factory = () => {
        const store = memoryStore()
        return { ...store, ...everySabotage[name]?.(store) }
      }
      // Always the same commands: a seed that finds nothing would be bad luck, and no test.
      const options = { commands: 6000, seed: 7 }
      await expect(runRandomCommands(factory, options), name).rejects.toThrow(/seed 7/)
    }
  })

  it('of many thousands find nothing in memoryStore', async () => {
    await runRandomCommands(memoryStore, { commands: 5_000 })
  })
})
