/**
 * Whether it can be told by the clock that the beginning of an API token is known: two kinds of tokens that nobody
 * has issued, some beginning as one does that is there, are refused on the same way in turns, in a new order each
 * round, and Welch's t-test compares how long that takes. As `dudect` does, times above a quantile of all are left
 * out first, each of several, for what a machine does meanwhile falls on all alike; a value of t beyond 4.5 is
 * taken for a difference. Two samples of the same kind show what chance does, and one that is held up for a little
 * shows that the test would see as much. All are made by the same steps and long before, or their making would be
 * what is measured.
 *
 * What may differ and is only told: a wrong checksum is seen without the store, and a token that was issued and
 * taken back is known for a while. Whoever has the one has the whole token.
 *
 * `TIMING_SAMPLES` says how many of each kind, on the store in memory; the databases get a tenth.
 */
import { hrtime } from 'node:process'
import { describe, expect, it } from 'vitest'
import { makeApiToken } from '../../src/api-tokens/format.ts'
import { createImpersonation, memoryStore, type Store } from '../../src/index.ts'
import { connect } from '../support/connect.ts'
import { random, requestOf, view } from '../support/core-world.ts'
import { dropDatabase, kinds, makeDatabase } from '../support/databases.ts'
import { migrateAt } from '../support/migrate.ts'
import { withChecksum } from '../support/mutations.ts'

const samples = Number(process.env.TIMING_SAMPLES ?? 50_000)
const prefix = 'pv_test_'
const beyond = 4.5

interface User {
  readonly id: string
  readonly may: readonly string[]
}

const users: readonly User[] = [
  { id: 'root', may: ['start', 'issue_token', 'revoke'] },
  { id: 'alice', may: [] },
]

/** What is sent, by its kind. `slowed` is as `unknown`, and held up. */
const named = ['unknown', 'again', 'shown', 'longer', 'slowed', 'revoked', 'checksum'] as const
type Kind = (typeof named)[number]

/** A made-up token that begins as another does, up to some letter behind the prefix. */
const like = (token: string, letters: number) =>
  withChecksum(
    token.slice(0, prefix.length + letters) + makeApiToken(prefix).slice(prefix.length + letters),
  )

/** How many are made at a time. */
const batch = 500

async function measure(
  store: Store,
  rounds: number,
  holdUpNs: bigint,
): Promise<Record<Kind, Float64Array>> {
  const engine = createImpersonation<User>({
    store,
    findUser: (id) => users.find((user) => user.id === id),
    can: (user, action) => user.may.includes(action),
    rateLimit: false,
    storeTimeoutMs: 10_000,
    apiTokens: { prefix, scopes: ['read'] },
  })
  const adapter = engine.adapter(view)
  const root = engine.caller(users[0] as User)
  const issued: string[] = []
  const over: string[] = []
  for (let n = 0; n < 1000; n++) {
    const ask = { userId: 'alice', name: 'a program', scopes: ['read'] }
    const { secret, token } = await engine.tokens.issue(root, ask)
    if (n >= 100) issued.push(secret)
    else {
      over.push(secret)
      await engine.tokens.revoke(root, token.id)
    }
  }
  const dice = random(20_261_121)
  const another = () => makeApiToken(prefix)
  const make: Record<Kind, () => string> = {
    unknown: () => like(another(), 4),
    again: () => like(another(), 4),
    slowed: () => like(another(), 4),
    shown: () => like(dice.pick(issued), 4),
    longer: () => like(dice.pick(issued), 36),
    revoked: () => dice.pick(over),
    checksum: () => `${like(another(), 4).slice(0, -6)}000000`,
  }
  const asked = new Map<Kind, string[]>(named.map((kind) => [kind, []]))
  function makeMore(): void {
    for (const [kind, headers] of asked)
      for (let n = 0; n < batch; n++)
        // In one piece each, however they were put together.
        headers.push(Buffer.from(`Bearer ${make[kind]()}`).toString('latin1'))
  }
  const times = Object.fromEntries(named.map((kind) => [kind, new Float64Array(rounds)])) as Record<
    Kind,
    Float64Array
  >
  const order = [...named]

  async function time(kind: Kind): Promise<number> {
    const request = requestOf({ headers: { Authorization: asked.get(kind)?.pop() ?? '' } })
    const began = hrtime.bigint()
    const { answer } = await adapter.enter(request, null)
    if (kind === 'slowed') {
      const until = hrtime.bigint() + holdUpNs
      while (hrtime.bigint() < until);
    }
    const ns = Number(hrtime.bigint() - began)
    if (answer?.status !== 401) throw new Error(`${kind} was answered ${answer?.status}`)
    return ns
  }

  for (let round = -Math.min(2000, rounds); round < rounds; round++) {
    if (asked.get('unknown')?.length === 0) makeMore()
    for (let n = order.length - 1; n > 0; n--) {
      const other = dice.below(n + 1)
      ;[order[n], order[other]] = [order[other] as Kind, order[n] as Kind]
    }
    for (const kind of order) {
      const ns = await time(kind)
      if (round >= 0) times[kind][round] = ns
    }
  }
  await engine.close()
  return times
}

interface Compared {
  /** In ns: how much longer the second takes on average, and by how much that may be off (95 %). */
  readonly longer: number
  readonly give: number
  readonly t: number
}

function welch(one: Float64Array, two: Float64Array): Compared {
  const [a, b] = [one, two].map((sample) => {
    const mean = sample.reduce((sum, each) => sum + each, 0) / sample.length
    const square = sample.reduce((sum, each) => sum + (each - mean) ** 2, 0)
    return { mean, part: square / (sample.length - 1) / sample.length }
  }) as [{ mean: number; part: number }, { mean: number; part: number }]
  const error = Math.sqrt(a.part + b.part)
  const longer = b.mean - a.mean
  return { longer, give: 1.96 * error, t: longer / error }
}

/** With what is above a quantile of both left out, each; the one that tells most of a difference. */
function compare(one: Float64Array, two: Float64Array): Compared {
  const both = Float64Array.from([...one, ...two]).sort()
  const all = [0.5, 0.75, 0.9, 0.99].map((part) => {
    const most = both[Math.floor(both.length * part)] as number
    const below = (sample: Float64Array) => sample.filter((each) => each <= most)
    return welch(below(one), below(two))
  })
  return all.reduce((most, each) => (Math.abs(each.t) > Math.abs(most.t) ? each : most))
}

const microseconds = (ns: number) => Math.round(ns / 10) / 100

async function proved(name: string, store: Store, rounds: number, holdUpNs: bigint): Promise<void> {
  const times = await measure(store, rounds, holdUpNs)
  const median = (kind: Kind) => times[kind].toSorted()[Math.floor(rounds / 2)] as number
  const table = Object.fromEntries(
    named.map((kind) => {
      const { longer, give, t } = compare(times.unknown, times[kind])
      const numbers = { median: median(kind), longer, give }
      const told = Object.entries(numbers).map(([key, ns]) => [`${key} µs`, microseconds(ns)])
      return [kind, { ...Object.fromEntries(told), t: Math.round(t * 100) / 100 }]
    }),
  )
  console.log(`${name}, ${rounds} of each kind, against "unknown"`)
  console.table(table)
  const t = (kind: Kind) => Math.abs(compare(times.unknown, times[kind]).t)
  expect(t('again'), 'by chance').toBeLessThan(beyond)
  expect(t('slowed'), 'it would be seen').toBeGreaterThan(beyond)
  expect(t('shown'), 'the letters that lists show').toBeLessThan(beyond)
  expect(t('longer'), 'more letters than anybody knows').toBeLessThan(beyond)
}

describe('how long a made-up API token takes says nothing of its beginning', () => {
  it('in memory', () => proved('memory', memoryStore(), samples, 2000n))

  it.each(kinds)('on %s', async (kind) => {
    const address = await makeDatabase(kind)
    await migrateAt(address)
    const { store, close } = connect(address)
    try {
      // What is asked of a server takes longer, and not always as long.
      await proved(kind, store, Math.ceil(samples / 10), kind === 'sqlite' ? 10_000n : 50_000n)
    } finally {
      await close()
      await dropDatabase(address)
    }
  })
})
