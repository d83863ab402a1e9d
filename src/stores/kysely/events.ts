import type { RecordedEvent } from '../outbox.ts'
import { batches } from './batches.ts'
import { insertLinks } from './chain.ts'
import type { Trx } from './changes.ts'
import { toDeliveryRow } from './delivery-rows.ts'
import type { Dialect } from './dialect.ts'
import { toEventRow } from './rows.ts'

/** Stores events, what has to be delivered on their account, and the links that seal them: last in its unit. */
export async function insertEvents(
  trx: Trx,
  dialect: Dialect,
  events: readonly RecordedEvent[],
): Promise<void> {
  for (const rows of batches(events.map(toEventRow))) {
    await trx.insertInto('impersonation_events').values(rows).execute()
  }
  const deliveries = events.flatMap((event) => event.deliveries ?? [])
  for (const rows of batches(deliveries.map(toDeliveryRow))) {
    await trx.insertInto('impersonation_deliveries').values(rows).execute()
  }
  await insertLinks(trx, dialect, events)
}
