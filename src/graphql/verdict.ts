import type { Guardrail } from '../types.ts'

/** What a document, or a whole request, is found to do. */
export type Verdict = 'read' | 'write' | 'unknown' | { readonly guard: Guardrail }

const ranks = ['read', 'write', 'unknown']
const rankOf = (verdict: Verdict) =>
  typeof verdict === 'object' ? ranks.length : ranks.indexOf(verdict)

/**
 * Where several things may be done, the one that the most levels refuse: a guarded write, then what
 * can't be told (it might be one), then a write. Of nothing at all nothing can be told.
 */
export function worst(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.length === 0) return 'unknown'
  return verdicts.reduce((one, other) => (rankOf(other) > rankOf(one) ? other : one))
}
