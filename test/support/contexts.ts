import { AsyncLocalStorage } from 'node:async_hooks'
import { afterEach } from 'vitest'

/**
 * On Node 22 every context storage that has ever run costs each promise of the process a little, and tests
 * make thousands of engines: after each test the storages of the engines are told that they are done with.
 */
const used = new Set<AsyncLocalStorage<unknown>>()
const { run } = AsyncLocalStorage.prototype
AsyncLocalStorage.prototype.run = function remembered<R, A extends unknown[]>(
  this: AsyncLocalStorage<unknown>,
  store: unknown,
  code: (...args: A) => R,
  ...args: A
): R {
  used.add(this)
  return run.call(this, store, code as (...args: unknown[]) => unknown, ...args) as R
}

afterEach(() => {
  for (const storage of used) storage.disable()
  used.clear()
})
