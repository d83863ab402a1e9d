import { channel } from 'node:diagnostics_channel'
import type { AuditEvent, Impersonation } from '../types.ts'

/**
 * What the library tells of itself, for whoever in the process listens, by Node's `diagnostics_channel`.
 * Messages are told synchronously, after the fact, and by every engine of the process. Where nobody
 * listens, nothing is made to be told.
 */
export interface Messages {
  /** An audit event that this process has stored. Told at most once: what must not be missed is in the store. */
  readonly 'onbehalf:event': { readonly event: AuditEvent }
  /** A request under impersonation begins; told inside its context. */
  readonly 'onbehalf:request': { readonly impersonation: Impersonation<unknown> }
  /** Where an actor stands was asked of the cache. */
  readonly 'onbehalf:cache': { readonly hit: boolean }
  /** How many sessions are active, in all processes, as the reaper of this one has just seen. */
  readonly 'onbehalf:active': { readonly count: number }
  /** A verb of a store has answered, or failed, after so many ms. */
  readonly 'onbehalf:store': {
    readonly store: string
    readonly verb: string
    readonly ms: number
    readonly failed: boolean
  }
}

const channels = {
  'onbehalf:event': channel('onbehalf:event'),
  'onbehalf:request': channel('onbehalf:request'),
  'onbehalf:cache': channel('onbehalf:cache'),
  'onbehalf:active': channel('onbehalf:active'),
  'onbehalf:store': channel('onbehalf:store'),
} as const satisfies Record<keyof Messages, unknown>

/** Whether anybody listens: spares the making of messages. */
export const isHeard = (name: keyof Messages): boolean => channels[name].hasSubscribers

export function tell<Name extends keyof Messages>(name: Name, message: Messages[Name]): void {
  channels[name].publish(message)
}
