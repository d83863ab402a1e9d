import { sql } from 'kysely'
import type { Delivery } from '../../types.ts'
import type { DeliveryChange, OutboxSection } from '../outbox.ts'
import { batches } from './batches.ts'
import type { Trx } from './changes.ts'
import { fromDeliveryRow, toDeliveryRow } from './delivery-rows.ts'
import type { SectionTools } from './locks.ts'
import { deliveriesQuery, dueQuery, exactly } from './queries.ts'
import { retried } from './retry.ts'
import { isStorable, toInstant } from './rows.ts'
import type { DeliveryRow } from './schema.ts'

export function outboxSection({ tables, dialect, unit }: SectionTools): OutboxSection {
  return {
    async leaseDeliveries(lease) {
      if (lease.topics.length === 0) return []
      return unit(async (trx) => {
        const due = await dueQuery(trx, lease)
          // SQLite has no such lock, and no need of it: the transaction holds the only one there is.
          .$if(dialect !== 'sqlite', (query) => query.forUpdate().skipLocked())
          .execute()
        for (const ids of batches(due.map(({ id }) => id))) {
          await trx
            .updateTable('impersonation_deliveries')
            .set({
              due_at: toInstant(lease.until),
              attempts: sql`attempts + 1`,
              revision: sql`revision + 1`,
            })
            .where('id', 'in', ids)
            .execute()
        }
        return due.map(fromDeliveryRow).map((delivery) =>
          Object.freeze({
            ...delivery,
            dueAt: lease.until,
            attempts: delivery.attempts + 1,
            revision: delivery.revision + 1,
          }),
        )
      })
    },

    async changeDelivery(change, more) {
      if (!isStorable(change.after.id)) return false
      return unit(async (trx) => {
        if (!(await swapDelivery(trx, change))) return false
        await insertMissing(trx, more)
        return true
      })
    },

    readDelivery: (deliveryId) => retried(() => deliveryById(deliveryId)),

    async listDeliveries(filter, page) {
      const query = deliveriesQuery(tables, dialect, filter, page)
      return query ? (await retried(() => query.execute())).map(fromDeliveryRow) : []
    },
  }

  async function deliveryById(deliveryId: string): Promise<Delivery | null> {
    if (!isStorable(deliveryId)) return null
    const row = await tables
      .selectFrom('impersonation_deliveries')
      .selectAll()
      .where(exactly(dialect, 'id', deliveryId))
      .executeTakeFirst()
    return row ? fromDeliveryRow(row) : null
  }

  /** Gives whether the delivery still had that revision, and so was changed. */
  async function swapDelivery(trx: Trx, { from, after }: DeliveryChange): Promise<boolean> {
    const { id, ...columns } = toDeliveryRow(after)
    const { numUpdatedRows } = await trx
      .updateTable('impersonation_deliveries')
      .set(columns)
      .where(exactly(dialect, 'id', id))
      .where('revision', '=', from)
      .executeTakeFirst()
    return numUpdatedRows > 0n
  }

  async function insertMissing(trx: Trx, more: readonly Delivery[]): Promise<void> {
    // In one order, whoever brings them along: so nobody waits for somebody who waits for them.
    const ordered = more.map(toDeliveryRow).sort((a, b) => (a.id < b.id ? -1 : Number(a.id > b.id)))
    for (const rows of batches(ordered)) {
      await trx
        .insertInto('impersonation_deliveries')
        .values(rows)
        // Not MySQL's `ignore`, which takes any value that does not fit and cuts it.
        .$if(dialect === 'mysql', (query) => query.onDuplicateKeyUpdate({ id: sql.ref('id') }))
        .$if(dialect !== 'mysql', (query) => query.onConflict((conflict) => conflict.doNothing()))
        .execute()
      if (dialect === 'mysql') await refuseLookAlikes(trx, rows)
    }
  }
}

/** MySQL takes `id ` for `id`: it would be neither stored nor missed. */
async function refuseLookAlikes(trx: Trx, rows: readonly DeliveryRow[]): Promise<void> {
  const ids = rows.map(({ id }) => id)
  const stored = await trx
    .selectFrom('impersonation_deliveries')
    .select('id')
    .where('id', 'in', ids)
    .execute()
  const exact = new Set(stored.map(({ id }) => id))
  if (ids.every((id) => exact.has(id))) return
  throw new Error('A delivery with an id that differs in nothing but spaces is stored already.')
}
