import { Kysely, PostgresDialect } from 'kysely'
import type { ImpersonationEngine } from 'onbehalf'
import { guardDialect, impersonationPlugin } from 'onbehalf/sql'
import type { Pool } from 'pg'

export interface Database {
  notes: { id: number; body: string; impersonated_by: string | null }
}

/**
 * The dialect is the wall: it checks every statement as it is sent. The plugin writes into
 * `notes.impersonated_by` who was behind the last change.
 */
export const kyselyOn = <User extends object>(
  pool: Pool,
  impersonation: ImpersonationEngine<User>,
): Kysely<Database> =>
  new Kysely({
    dialect: guardDialect(new PostgresDialect({ pool }), impersonation, { dialect: 'postgres' }),
    plugins: [
      impersonationPlugin(impersonation, {
        stamp: { column: 'impersonated_by', tables: ['notes'] },
      }),
    ],
  })
