import type { AccessRequest } from '../../types.ts'
import type { RequestChange, RequestSection, UsedCode } from '../requests.ts'
import type { Trx } from './changes.ts'
import type { Dialect } from './dialect.ts'
import { insertEvents } from './events.ts'
import type { SectionTools } from './locks.ts'
import { exactly, requestsQuery } from './queries.ts'
import { fromRequestRow, toCodeRow, toRequestRow } from './request-rows.ts'
import { LostRace, retried } from './retry.ts'
import { isStorable } from './rows.ts'

export function requestSection({ tables, dialect, unit }: SectionTools): RequestSection {
  return {
    createRequest: (request, events, code) =>
      unit(async (trx) => {
        if (code && !(await useCode(trx, dialect, code))) return 'code_used'
        await trx.insertInto('impersonation_requests').values(toRequestRow(request)).execute()
        await insertEvents(trx, dialect, events)
        return 'created'
      }),

    readRequest: (requestId) => retried(() => requestById(requestId)),

    async listRequests(filter, page) {
      const query = requestsQuery(tables, dialect, filter, page)
      return query ? (await retried(() => query.execute())).map(fromRequestRow) : []
    },

    changeRequest: (change, events, code) =>
      unit(async (trx) => {
        // Compared before the code is kept, and changed after it: so neither has to be taken back.
        if (!(await holdsRequest(trx, dialect, change))) return 'changed_since'
        if (code && !(await useCode(trx, dialect, code))) return 'code_used'
        await swapRequest(trx, dialect, change)
        await insertEvents(trx, dialect, events)
        return 'changed'
      }),
  }

  async function requestById(requestId: string): Promise<AccessRequest | null> {
    if (!isStorable(requestId)) return null
    const row = await tables
      .selectFrom('impersonation_requests')
      .selectAll()
      .where(exactly(dialect, 'id', requestId))
      .executeTakeFirst()
    return row ? fromRequestRow(row) : null
  }
}

/** Whether a request has that revision, which nobody else changes until the end of the transaction. */
export async function holdsRequest(
  trx: Trx,
  dialect: Dialect,
  { from, after }: RequestChange,
): Promise<boolean> {
  if (!isStorable(after.id)) return false
  const row = await trx
    .selectFrom('impersonation_requests')
    .select('revision')
    .where(exactly(dialect, 'id', after.id))
    // SQLite has no such lock, and no need of it: the transaction holds the only one there is.
    .$if(dialect !== 'sqlite', (query) => query.forUpdate())
    .executeTakeFirst()
  return row !== undefined && Number(row.revision) === from
}

/** Changes a request that `holdsRequest` found as it was to be. */
export async function swapRequest(
  trx: Trx,
  dialect: Dialect,
  { from, after }: RequestChange,
): Promise<void> {
  const { id, ...columns } = toRequestRow(after)
  const { numUpdatedRows } = await trx
    .updateTable('impersonation_requests')
    .set(columns)
    .where(exactly(dialect, 'id', id))
    .where('revision', '=', from)
    .executeTakeFirst()
  if (numUpdatedRows === 0n) throw new LostRace()
}

/**
 * Keeps the mark of a code; gives false where it is kept already. Not by an error: on Postgres that
 * would end the transaction.
 */
async function useCode(trx: Trx, dialect: Dialect, code: UsedCode): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('impersonation_codes')
    .values(toCodeRow(code))
    // MySQL's `ignore` is lenient with values, too; these have been checked.
    .$if(dialect === 'mysql', (query) => query.ignore())
    .$if(dialect !== 'mysql', (query) => query.onConflict((conflict) => conflict.doNothing()))
    .executeTakeFirst()
  return numInsertedOrUpdatedRows === 1n
}
