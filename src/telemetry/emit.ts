import type { AuditEvent } from '../types.ts'
import { warnOnce } from '../warnings.ts'
import { isHeard, tell } from './channels.ts'

/** Hands each stored event to whoever listens in this process. What a listener does wrong changes nothing. */
export function createEmit(onEvent: ((event: AuditEvent) => unknown) | undefined) {
  return function emit(event: AuditEvent): void {
    if (isHeard('onbehalf:event')) tell('onbehalf:event', { event })
    if (!onEvent) return
    try {
      const answer = onEvent(event)
      if (answer instanceof Promise) answer.catch(failed)
    } catch (error) {
      failed(error)
    }
  }
}

function failed(error: unknown): void {
  warnOnce('ONBEHALF_LISTENER_FAILED', `"audit.onEvent" failed: ${String(error)}`)
}
