import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Kysely } from 'kysely'
import { createConnection } from 'mysql2/promise'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import type { Tables } from '../../src/stores/kysely/schema.ts'
import { type Address, type Server, servers } from './connect.ts'

export type Kind = Address['kind']

export const kinds: readonly Kind[] = ['sqlite', 'postgres', 'mysql']

/** Runs statements on a server by its plain driver, without a database unless told one. */
export async function administer(
  server: Server,
  statements: string,
  database?: string,
): Promise<Record<string, unknown>[]> {
  if (server === 'mysql') {
    const options = { ...servers.mysql, multipleStatements: true }
    const connection = await createConnection(database ? { ...options, database } : options)
    const [rows] = await connection.query(statements).finally(() => connection.end())
    return rows as Record<string, unknown>[]
  }
  const client = new pg.Client({ ...servers.postgres, database: database ?? 'postgres' })
  await client.connect()
  const { rows } = await client.query(statements).finally(() => client.end())
  return rows
}

let serial = 0

/**
 * Makes an empty database, or a directory with the path of an SQLite file that is not there yet.
 */
export async function makeDatabase(kind: Kind): Promise<Address> {
  if (kind === 'sqlite') {
    return { kind, file: join(await mkdtemp(join(tmpdir(), 'onbehalf-')), 'impersonation.db') }
  }
  const database = `onbehalf_${process.pid}_${Date.now().toString(36)}_${++serial}`
  const create = `create database ${database}`
  // An order of strings that is not that of their bytes, where the server was built with it.
  const sorting = " template template0 locale_provider icu icu_locale 'en-US'"
  if (kind === 'mysql') await administer(kind, create)
  else await administer(kind, create + sorting).catch(() => administer(kind, create))
  return { kind, database }
}

export async function dropDatabase(address: Address): Promise<void> {
  if (address.kind === 'sqlite') {
    return rm(dirname(address.file), { recursive: true, maxRetries: 5 })
  }
  const force = address.kind === 'postgres' ? ' with (force)' : ''
  await administer(address.kind, `drop database if exists ${address.database}${force}`)
}

/** Every row goes, and the tables stay. */
export async function emptyTables(db: Kysely<Tables>): Promise<void> {
  for (const table of filled) await db.deleteFrom(table).execute()
}

const filled = [
  ...(['impersonation_sessions', 'impersonation_events', 'impersonation_grants'] as const),
  ...(['impersonation_requests', 'impersonation_codes', 'impersonation_deliveries'] as const),
  ...(['impersonation_links', 'impersonation_actions', 'impersonation_tokens'] as const),
] satisfies readonly (keyof Tables)[]

/** How many connections a server holds for a database; an SQLite file has none. */
export async function connectionsTo(address: Address): Promise<number> {
  if (address.kind === 'sqlite') return 0
  const [table, column] =
    address.kind === 'mysql'
      ? ['information_schema.processlist', 'db']
      : ['pg_stat_activity', 'datname']
  const statement = `select count(*) as n from ${table} where ${column} = '${address.database}'`
  const [row] = await administer(address.kind, statement)
  return Number(row?.n)
}

const missing = new Map<Kind, unknown>()
for (const server of ['postgres', 'mysql'] as const) {
  await administer(server, 'select 1').catch((error) => missing.set(server, error))
}

/**
 * `describe` for tests that need a database. Where its server is not running they fail on CI, and
 * are skipped elsewhere, out loud. Nothing else in the tests may skip.
 */
export function describeOn(kind: Kind, name: string, define: () => void): void {
  const title = `${name} (${kind === 'mysql' ? 'MariaDB' : kind})`
  const reason = missing.get(kind)
  if (reason === undefined) {
    describe(title, define)
  } else if (process.env.CI) {
    it(title, () => expect.fail(`no ${kind} server: ${reason}`))
  } else {
    console.warn(`SKIPPED for want of a ${kind} server: ${title} (${reason})`)
    describe.skip(title, define)
  }
}
