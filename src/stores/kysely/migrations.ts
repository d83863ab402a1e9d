import { type Kysely, sql } from 'kysely'
import { createStatements, dropStatements } from './definition.ts'
import { type Dialect, dialectOf, dialects } from './dialect.ts'
import { takeAdvisoryLocks } from './locks.ts'
import { retried } from './retry.ts'
import type { Tables } from './schema.ts'

/** Many processes may start at once, and the first of them may have a slow disk. */
const migrationPatienceMs = 30_000

export interface ImpersonationMigration {
  up<DB>(db: Kysely<DB>): Promise<void>
  /** Drops the tables that it made, and with them every row. */
  down<DB>(db: Kysely<DB>): Promise<void>
}

/**
 * The migrations as a record, for those who let kysely's Migrator run theirs: hand them out with
 * your own from the provider. They are the ones that `migrate` runs, and may be repeated.
 *
 * @example
 * new Migrator({ db, provider: { getMigrations: async () => ({ ...mine, ...migrations }) } })
 */
export const migrations: Readonly<Record<string, ImpersonationMigration>> = Object.freeze({
  '0001_sessions': migrationTo(1),
  '0002_grants': migrationTo(2),
  '0003_requests_and_outbox': migrationTo(3),
  '0004_chain': migrationTo(4),
  '0005_trail': migrationTo(5),
  '0006_tokens': migrationTo(6),
})

/** The version that this release needs; each migration stores its own number. */
export const schemaVersion = Object.keys(migrations).length

function migrationTo(version: number): ImpersonationMigration {
  return {
    up: (db) => run(db, createStatements(dialectOf(db), version)),
    down: (db) => run(db, dropStatements(version)),
  }
}

/**
 * Makes the tables, or brings them up to date. May be called at every start of every process:
 * without work to do it reads one row, and of several at once one works while the others wait.
 *
 * @throws {Error} when another process has been migrating for half a minute, or the database
 * refuses
 *
 * @example
 * const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
 * await migrate(db)
 */
export async function migrate<DB>(db: Kysely<DB>, options: MigrateOptions = {}): Promise<void> {
  const dialect = dialectOf(db, options.dialect)
  const plain = db.withoutPlugins() as unknown as Kysely<Tables>
  await retried(async () => {
    const version = await readVersion(plain)
    if (version >= schemaVersion) return
    // Not again what is there: on Postgres even `create index if not exists` waits for every writer.
    const missing = Object.values(migrations).slice(Math.max(version, 0))
    if (dialect === 'mysql') await migrateUnderNamedLock(plain, missing)
    else await migrateInTransaction(plain, dialect, missing)
  }, migrationPatienceMs)
}

export interface MigrateOptions {
  /** @default told by the kysely instance */
  readonly dialect?: Dialect
}

/**
 * The tables as the text of a `.sql` file, for those who keep their schema elsewhere. Applying it
 * twice does no harm. The package carries the same text as `sql/postgres.sql`, `sql/mysql.sql` and
 * `sql/sqlite.sql`.
 */
export function migrationSql(dialect: Dialect): string {
  if (!dialects.includes(dialect)) {
    throw new TypeError(`"dialect" must be one of ${dialects.join(', ')}.`)
  }
  const head = `-- The tables of kyselyStore from 'onbehalf/kysely', version ${schemaVersion}. Applying them twice does no harm.`
  const statements = Object.keys(migrations).flatMap((_, n) => createStatements(dialect, n + 1))
  return `${[head, ...statements.map((statement) => `${statement};`)].join('\n\n')}\n`
}

/** Rejects with a sentence unless the tables are there and new enough. */
export async function checkSchema(db: Kysely<Tables>, dialect: Dialect): Promise<void> {
  const version = await readVersion(db)
  if (version >= schemaVersion) return
  const finding =
    version === 0
      ? 'The impersonation tables are missing'
      : `The impersonation tables are at version ${version}, and this release needs ${schemaVersion}`
  throw new Error(
    `${finding}: run \`await migrate(db)\` from 'onbehalf/kysely' (or apply sql/${dialect}.sql) before the first request.`,
  )
}

/** 0 where there is nothing yet. */
async function readVersion(db: Kysely<Tables>): Promise<number> {
  try {
    const { rows } = await sql<{ version: number | null }>`
      select max(version) as version from impersonation_schema`.execute(db)
    return Number(rows[0]?.version ?? 0)
  } catch (error) {
    if (isMissingTable(error)) return 0
    throw error
  }
}

function isMissingTable(error: unknown): boolean {
  const { code, errno, message } = error as { code?: unknown; errno?: unknown; message?: unknown }
  return code === '42P01' || errno === 1146 || /^no such table/.test(String(message))
}

/** Postgres and SQLite roll back half a schema with its transaction. */
async function migrateInTransaction(
  db: Kysely<Tables>,
  dialect: Dialect,
  missing: readonly ImpersonationMigration[],
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    if (dialect === 'postgres') {
      await takeAdvisoryLocks(trx, ['migrate'])
    }
    for (const { up } of missing) await up<Tables>(trx)
  })
}

/**
 * MySQL commits at every statement; a migration cut off in the middle is finished by the next
 * one.
 */
async function migrateUnderNamedLock(
  db: Kysely<Tables>,
  missing: readonly ImpersonationMigration[],
): Promise<void> {
  const name = sql`concat('onbehalf ', md5(database()))`
  await db.connection().execute(async (connection) => {
    const { rows } = await sql<{ held: number | null }>`
      select get_lock(${name}, ${migrationPatienceMs / 1000}) as held`.execute(connection)
    if (Number(rows[0]?.held) !== 1) {
      throw new Error('Another process has been migrating the impersonation tables for too long.')
    }
    try {
      for (const { up } of missing) await up<Tables>(connection)
    } finally {
      await sql`select release_lock(${name})`.execute(connection)
    }
  })
}

async function run<DB>(db: Kysely<DB>, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
