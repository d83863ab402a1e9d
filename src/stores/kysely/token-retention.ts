import { sql } from 'kysely'
import type { Erased } from '../retention.ts'
import { batches } from './batches.ts'
import type { Erasure } from './erasing.ts'
import type { Pruning } from './pruning.ts'
import { exactly } from './queries.ts'

/** Tokens that were revoked, or have expired: two questions, each for an index of its own. */
export async function deleteTokens({ trx, before, limit }: Pruning): Promise<boolean> {
  const found = new Set<string>()
  for (const column of ['revoked_at', 'expires_at'] as const) {
    if (found.size > limit) break
    const rows = await trx
      .selectFrom('impersonation_tokens')
      .select('id')
      .where(column, '<', before)
      .orderBy(column)
      .limit(limit + 1)
      .execute()
    for (const { id } of rows) found.add(id)
  }
  for (const ids of batches([...found].slice(0, limit))) {
    await trx.deleteFrom('impersonation_tokens').where('id', 'in', ids).execute()
  }
  return found.size > limit
}

export async function eraseTokens(erasure: Erasure): Promise<Erased> {
  const { trx, dialect, userId, limit } = erasure
  const rows = await trx
    .selectFrom('impersonation_tokens')
    .select('id')
    .where(exactly(dialect, 'user_id', userId))
    // Not by a comparison: MySQL takes nothing but spaces for nothing.
    .where(sql<boolean>`length(name) > 0`)
    // The order in which others lock several.
    .orderBy('id')
    .limit(limit + 1)
    // SQLite has no such lock, and no need of it: the transaction holds the only one there is.
    .$if(dialect !== 'sqlite', (query) => query.forUpdate())
    .execute()
  const taken = rows.slice(0, limit).map(({ id }) => id)
  for (const ids of batches(taken)) {
    await trx
      .updateTable('impersonation_tokens')
      // Whoever has read it before must not put back what it was called.
      .set({ name: '', revision: sql`revision + 1` })
      .where('id', 'in', ids)
      .execute()
  }
  return { rows: taken.length, more: rows.length > limit }
}
