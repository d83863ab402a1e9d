import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { getTableConfig, type SQLiteTable } from 'drizzle-orm/sqlite-core'
import { drizzle } from 'drizzle-orm/sqlite-proxy'
import { events, sessions } from './tables.ts'

export type Database = ReturnType<typeof openDatabase>

/** Drizzle over the SQLite that Node brings along. Your application has its own `db` already. */
export function openDatabase(file: string) {
  const sqlite = new DatabaseSync(file)
  // A short wait, because SQLite's wait stops the whole process; the store tries again by itself.
  sqlite.exec('pragma busy_timeout = 5; pragma journal_mode = wal')
  for (const table of [sessions, events]) sqlite.exec(createStatements(table))

  const db = drizzle(async (text, parameters: SQLInputValue[], method) => {
    const statement = sqlite.prepare(text)
    statement.setReturnArrays(true)
    if (method === 'run') return { rows: [statement.run(...parameters)] }
    if (method === 'get') return { rows: statement.get(...parameters) as never }
    return { rows: statement.all(...parameters) }
  })
  return Object.assign(db, { close: () => sqlite.close() })
}

/** Stands for the migrations that drizzle-kit would write. */
function createStatements(table: SQLiteTable): string {
  const { name, columns, indexes } = getTableConfig(table)
  const fields = columns.map((column) => {
    const rule = column.primary ? ' primary key' : column.isUnique ? ' unique' : ''
    return `"${column.name}" ${column.getSQLType()}${rule}${column.notNull ? ' not null' : ''}`
  })
  const more = indexes.map(({ config }) => {
    const on = config.columns.map((column) => `"${'name' in column ? column.name : ''}"`)
    return `create index if not exists "${config.name}" on "${name}" (${on});`
  })
  return `create table if not exists "${name}" (${fields}) strict; ${more.join(' ')}`
}
