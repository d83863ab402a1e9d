import type { Delivery } from '../types.ts'

/** What became of one attempt; a throw is a failed one. */
export type Outcome =
  /** Done. `more` is what has to be delivered in its place; `payload` what is kept instead of its own. */
  | {
      readonly status: 'sent'
      readonly more?: readonly Delivery[]
      readonly payload?: Delivery['payload']
    }
  /** There is nobody to tell, or they don't want to be told. */
  | { readonly status: 'skipped'; readonly why: string }
  /** It can't be done, and somebody has to know. */
  | { readonly status: 'dead'; readonly why: string }
  /** Not yet, or not here; not a failure. */
  | { readonly status: 'later'; readonly dueAt: number }

export const skipped = (why: string): Outcome => ({ status: 'skipped', why })
