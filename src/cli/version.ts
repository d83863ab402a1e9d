import { type Kysely, sql } from 'kysely'
import type { Tables } from '../stores/kysely/schema.ts'
import { isMissingTable } from './sentences.ts'

/** The version of the tables; 0 where there are none. */
export async function storedVersion(db: Kysely<Tables>): Promise<number> {
  const query = sql<{ version: number | null }>`
    select max(version) as version from impersonation_schema`
  const rows = await query.execute(db).then(
    (result) => result.rows,
    (error) => {
      if (isMissingTable(error)) return []
      throw error
    },
  )
  return Number(rows[0]?.version ?? 0)
}
