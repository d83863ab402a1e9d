import { inject } from 'vitest'
import type { Packed } from './setup.ts'

/** What the global setup has built, packed and installed; throws what went wrong there. */
export function packed(): Packed {
  const result = inject('packed')
  if ('failure' in result) throw new Error(`The package could not be made: ${result.failure}`)
  return result
}
