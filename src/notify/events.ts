import type { EventSink } from '../options.ts'
import type { Settings } from '../settings.ts'
import type { Delivery } from '../types.ts'
import type { Outcome } from './outcome.ts'
import { within } from './within.ts'

interface Parts<User extends object> {
  readonly sink: EventSink
  readonly settings: Pick<Settings<User>, 'now'>
  /** How long the sink may take, in ms. */
  readonly limitMs: number
  /** Nothing more may be sent. */
  readonly closed: () => boolean
}

/** Audit events: each is handed to the sink as it was when it was stored. */
export function createEvents<User extends object>(parts: Parts<User>) {
  const { sink, settings, limitMs, closed } = parts

  return async function deliver({ payload }: Delivery): Promise<Outcome> {
    const event = parsed(payload.event)
    if (closed()) return { status: 'later', dueAt: settings.now() }
    await within(limitMs, 'the sink', () => sink.send(event))
    // The event stands in its own table, where it can be erased: no copy of it stays here.
    return { status: 'sent', payload: {} }
  }
}

/** Anew for each attempt, and frozen all through: what one does with it, no other sees. */
function parsed(text: unknown): Readonly<Record<string, unknown>> {
  if (typeof text !== 'string') throw new Error('this delivery holds no event')
  return JSON.parse(text, (_, value) => Object.freeze(value))
}
