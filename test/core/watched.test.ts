import { afterEach, expect, it, vi } from 'vitest'
import { createWatched } from '../../src/stores/watched.ts'
import { worldOf } from '../support/core-world.ts'

afterEach(() => vi.restoreAllMocks())

it('messages count until the store says otherwise', () => {
  const watched = createWatched(2000)
  expect(watched.isHealthy()).toBe(false)
  watched.is(true)
  expect(watched.isHealthy()).toBe(true)
  watched.is(false)
  expect(watched.isHealthy()).toBe(false)
  watched.close()
})

it('a process that stood still for longer than the lag believes none of what it remembers', () => {
  const watched = createWatched(2000)
  const began = Date.now()
  const wall = vi.spyOn(Date, 'now').mockReturnValue(began)
  watched.is(true)
  wall.mockReturnValue(began + 1999)
  expect(watched.isHealthy()).toBe(true)
  wall.mockReturnValue(began + 2000)
  expect(watched.isHealthy()).toBe(false)
  // Setting the clock back is no way to hear more.
  wall.mockReturnValue(began - 2000)
  expect(watched.isHealthy()).toBe(false)
  watched.close()
})

it('the clock of the options gives whole milliseconds, or nothing at all', async () => {
  const world = worldOf({ now: () => 1_893_499_200_000.75 })
  expect((await world.start('root', 'alice')).createdAt).toBe(1_893_499_200_000)
  for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, undefined as never]) {
    const broken = worldOf({ now: () => wrong })
    await expect(broken.start('root', 'alice')).rejects.toThrow(/"now"/)
  }
})
