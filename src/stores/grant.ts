import type { Grant } from '../types.ts'

/** A grant as the end of its session leaves it; null where it stays as it is. */
export function usedGrant(grant: Grant): Grant | null {
  if (grant.status !== 'granted') return null
  return Object.freeze({ ...grant, status: 'used', revision: grant.revision + 1 })
}
