import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { type Attributes, type MeterProvider, metrics, trace } from '@opentelemetry/api'
import type { Messages } from '../telemetry/channels.ts'

export interface InstrumentOptions {
  /** @default the global one */
  readonly meterProvider?: MeterProvider
}

/**
 * Tells OpenTelemetry who acts. Every request under impersonation sets on the span that is active then:
 * `enduser.id` (the target: whose rights the request has) and, in the library's own namespace,
 * `onbehalf.actor.id`, `onbehalf.session.id`, `onbehalf.access_level`, `onbehalf.break_glass`.
 *
 * Metrics: `onbehalf.sessions.active` (of all processes, as the reaper of this one saw it last),
 * `onbehalf.starts`, `onbehalf.ends` by `onbehalf.ending`, `onbehalf.refusals` by `onbehalf.code`,
 * `onbehalf.cache.lookups` by `onbehalf.hit`, `onbehalf.store.duration` in seconds by `onbehalf.verb`.
 * Ids are on spans only, never on metrics.
 *
 * One call serves every engine of the process. Gives the function that ends it.
 *
 * @example
 * import { instrument } from 'onbehalf/opentelemetry'
 * instrument()
 */
export function instrument(options: InstrumentOptions = {}): () => void {
  const meter = (options.meterProvider ?? metrics).getMeter('onbehalf')
  const starts = meter.createCounter('onbehalf.starts', { unit: '{session}' })
  const ends = meter.createCounter('onbehalf.ends', { unit: '{session}' })
  const refusals = meter.createCounter('onbehalf.refusals', { unit: '{refusal}' })
  const lookups = meter.createCounter('onbehalf.cache.lookups', { unit: '{lookup}' })
  const durations = meter.createHistogram('onbehalf.store.duration', { unit: 's' })
  const active = meter.createGauge('onbehalf.sessions.active', { unit: '{session}' })

  const stops = [
    on('onbehalf:request', ({ impersonation: { session } }) => {
      trace.getActiveSpan()?.setAttributes({
        'enduser.id': session.targetUserId,
        'onbehalf.actor.id': session.actorId,
        'onbehalf.session.id': session.id,
        'onbehalf.access_level': session.accessLevel,
        'onbehalf.break_glass': session.breakGlass,
      })
    }),
    on('onbehalf:event', ({ event }) => {
      const { action, outcome, code, details } = event
      const labels: Attributes = { 'onbehalf.break_glass': details.break_glass === true }
      const ending = endings.get(action)
      if (outcome === 'refused') refusals.add(1, { 'onbehalf.code': code ?? 'unknown' })
      else if (action === 'impersonation.started') starts.add(1, labels)
      else if (ending) ends.add(1, { ...labels, 'onbehalf.ending': ending })
    }),
    on('onbehalf:cache', ({ hit }) => lookups.add(1, { 'onbehalf.hit': hit })),
    on('onbehalf:active', ({ count }) => active.record(count)),
    on('onbehalf:store', ({ store, verb, ms, failed }) =>
      durations.record(ms / 1000, {
        'onbehalf.store': store,
        'onbehalf.verb': verb,
        'onbehalf.failed': failed,
      }),
    ),
  ]
  return () => {
    for (const stop of stops) stop()
  }
}

const endings = new Map(
  ['stopped', 'expired', 'revoked', 'replaced'].map((how) => [`impersonation.${how}`, how]),
)

function on<Name extends keyof Messages>(
  name: Name,
  heard: (message: Messages[Name]) => void,
): () => void {
  const listener = (message: unknown) => heard(message as Messages[Name])
  subscribe(name, listener)
  return () => void unsubscribe(name, listener)
}
