import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createUses } from '../../src/api-tokens/uses.ts'
import type { TokenUse } from '../../src/index.ts'
import { memoryStore } from '../../src/index.ts'
import type { ApiToken } from '../../src/types.ts'

const noon = Date.UTC(2030, 5, 1, 12)
const second = 1000
const minute = 60 * second

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const tokenOf = (id: string, lastUsedAt: number | null = null): ApiToken => ({
  id,
  userId: 'alice',
  userOrgId: null,
  name: 'nightly upload',
  prefix: 'pv_live_abcd',
  scopes: ['upload'],
  issuedBy: 'root',
  createdAt: noon,
  expiresAt: noon + 24 * 60 * minute,
  lastUsedAt,
  revokedAt: null,
  revokedBy: null,
  replacedBy: null,
  revision: 1,
})

/** What the store was told, call by call, and what it does then. */
function fake(answer: (call: number) => Promise<void> = async () => {}) {
  const calls: (readonly TokenUse[])[] = []
  const intervals = new Set<number>()
  const uses = createUses(
    {
      touchTokens(batch, everyMs) {
        calls.push(batch)
        intervals.add(everyMs)
        return answer(calls.length)
      },
    },
    second,
  )
  return { uses, calls, intervals, told: () => calls.flat() }
}

const never = () => new Promise<void>(() => {})

it('stores the first use within a second, and not on the way of whoever used it', async () => {
  const { uses, calls, intervals } = fake()
  uses.note(tokenOf('a'), noon)
  expect(calls).toEqual([])
  await vi.advanceTimersByTimeAsync(second)
  expect(calls).toEqual([[{ id: 'a', at: noon }]])
  expect([...intervals]).toEqual([minute])
})

it('stores a token once a minute, however often it is used', async () => {
  const { uses, told } = fake()
  for (let at = noon; at < noon + 10 * minute; at += 100) {
    uses.note(tokenOf('a'), at)
    await vi.advanceTimersByTimeAsync(100)
  }
  expect(told()).toEqual(Array.from({ length: 10 }, (_, n) => ({ id: 'a', at: noon + n * minute })))
})

it('tells of many tokens in few calls, each of at most 200', async () => {
  const { uses, calls, told } = fake()
  for (let n = 0; n < 1000; n++) uses.note(tokenOf(`t${n}`), noon + n)
  await vi.advanceTimersByTimeAsync(second)
  expect(calls.map(({ length }) => length)).toEqual([200, 200, 200, 200, 200])
  expect(new Set(told().map(({ id }) => id)).size).toBe(1000)
})

it('says nothing of a use that the store knows of already', async () => {
  const { uses, calls } = fake()
  uses.note(tokenOf('a', noon), noon + minute - 1)
  await vi.advanceTimersByTimeAsync(minute)
  expect(calls).toEqual([])
  uses.note(tokenOf('a', noon), noon + minute)
  await vi.advanceTimersByTimeAsync(second)
  expect(calls).toEqual([[{ id: 'a', at: noon + minute }]])
})

it('of several processes, the row is written once a minute', async () => {
  const { tokens } = memoryStore()
  if (!tokens) throw new Error('there is no such section')
  await tokens.createToken(tokenOf('a'), 'a'.repeat(64), [], null)
  const written: (number | null | undefined)[] = []
  const touching = {
    async touchTokens(batch: readonly TokenUse[], everyMs: number) {
      const before = (await tokens.readToken('a'))?.lastUsedAt
      await tokens.touchTokens(batch, everyMs)
      const after = (await tokens.readToken('a'))?.lastUsedAt
      if (after !== before) written.push(after)
    },
  }
  const processes = Array.from({ length: 8 }, () => createUses(touching, second))
  for (let at = noon; at < noon + 3 * minute; at += second) {
    // Each has read the row once, when nobody had used it.
    for (const [n, { note }] of processes.entries()) note(tokenOf('a'), at + n)
    await vi.advanceTimersByTimeAsync(second)
  }
  expect(written).toHaveLength(3)
  for (const [n, at] of written.entries())
    expect(at).toBeGreaterThanOrEqual((written[n - 1] ?? noon - minute) + minute)
})

it('a clock that is set back makes nobody write more, and takes nothing back', async () => {
  const { uses, told } = fake()
  uses.note(tokenOf('a'), noon)
  for (let back = 1; back <= 60; back++) uses.note(tokenOf('a'), noon - back * minute)
  await vi.advanceTimersByTimeAsync(second)
  uses.note(tokenOf('a'), noon + minute)
  await vi.advanceTimersByTimeAsync(second)
  expect(told()).toEqual([
    { id: 'a', at: noon },
    { id: 'a', at: noon + minute },
  ])
})

it('what could not be stored is noted again with the next use, once a second at most', async () => {
  const { uses, calls } = fake((call) =>
    call <= 3 ? Promise.reject(new Error('down')) : Promise.resolve(),
  )
  for (let at = noon; at < noon + 10 * second; at += 10) {
    uses.note(tokenOf('a'), at)
    await vi.advanceTimersByTimeAsync(10)
  }
  expect(calls.map((batch) => batch.map(({ id }) => id))).toEqual([['a'], ['a'], ['a'], ['a']])
})

it('a store that fails slowly is asked once a second at most, however many tokens are used', async () => {
  const { uses, calls } = fake(
    () => new Promise((_, reject) => void setTimeout(() => reject(new Error('down')), 10)),
  )
  for (let ms = 0; ms < 10 * second; ms++) {
    uses.note(tokenOf(`t${ms}`), noon + ms)
    await vi.advanceTimersByTimeAsync(1)
  }
  expect(calls.length).toBeLessThanOrEqual(10)
})

it('a store that is down is not asked for the rest of a batch', async () => {
  const { uses, calls } = fake(() => Promise.reject(new Error('down')))
  for (let n = 0; n < 1000; n++) uses.note(tokenOf(`t${n}`), noon)
  await vi.advanceTimersByTimeAsync(second)
  expect(calls).toHaveLength(1)
  for (let n = 0; n < 1000; n++) uses.note(tokenOf(`t${n}`), noon + second)
  await uses.flush()
  expect(calls).toHaveLength(2)
})

it('a store that hangs is told nothing more until it answers, and then what waits', async () => {
  let release = () => {}
  const { uses, calls } = fake((call) =>
    call > 1 ? Promise.resolve() : new Promise<void>((resolve) => (release = resolve)),
  )
  uses.note(tokenOf('a'), noon)
  await vi.advanceTimersByTimeAsync(second)
  for (const id of ['b', 'c']) {
    uses.note(tokenOf(id), noon + minute)
    await vi.advanceTimersByTimeAsync(minute)
  }
  expect(calls).toHaveLength(1)
  release()
  await vi.advanceTimersByTimeAsync(second)
  expect(calls.slice(1).flat()).toEqual([
    { id: 'b', at: noon + minute },
    { id: 'c', at: noon + minute },
  ])
})

it('whoever waits for what is stored waits for a store that hangs no longer than told', async () => {
  const { uses } = fake(never)
  uses.note(tokenOf('a'), noon)
  let waited = true
  const flushing = uses.flush().then(() => {
    waited = false
  })
  await vi.advanceTimersByTimeAsync(second - 1)
  expect(waited).toBe(true)
  await vi.advanceTimersByTimeAsync(1)
  await flushing
  expect(waited).toBe(false)
})

it('a flush stores at once what waits, never rejects, and leaves no timer behind', async () => {
  const { uses, calls } = fake((call) =>
    call === 1 ? Promise.reject(new Error('down')) : Promise.resolve(),
  )
  uses.note(tokenOf('a'), noon)
  await expect(uses.flush()).resolves.toBeUndefined()
  expect(calls).toHaveLength(1)
  uses.note(tokenOf('a'), noon + 1)
  await uses.flush()
  expect(calls).toHaveLength(2)
  expect(vi.getTimerCount()).toBe(0)
})
