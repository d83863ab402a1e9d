import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  type Dialect as Driver,
  Kysely,
  MysqlDialect,
  PostgresDialect,
  SqliteDialect,
  sql,
} from 'kysely'
import type { Tables } from '../stores/kysely/schema.ts'
import { kyselyStore } from '../stores/kysely/store.ts'
import type { Tools } from './command.ts'
import { driversOf, type Load, openSqliteFile } from './drivers.ts'
import { Fault } from './faults.ts'
import { sentenceFor } from './sentences.ts'
import { type Address, readUrl } from './url.ts'

export interface Database
  extends Pick<Tools, 'db' | 'store' | 'dialect' | 'reach' | 'listen' | 'sentence'> {
  close(): Promise<void>
}

interface Place {
  /** Where relative paths begin, and whose drivers are used. */
  readonly folder: string
  /** Whether a file that is not there is made. */
  readonly make: boolean
  readonly load?: Load
}

const connectTimeoutMs = 5_000
const closeTimeoutMs = 1_000

/**
 * Opens what a URL says; no connection is made yet.
 * @throws {UsageError} for a URL that can't be read
 * @throws {Fault} for a driver or a file that is not there
 */
export async function openDatabase(
  url: string | undefined,
  { folder, make, load = driversOf(folder) }: Place,
): Promise<Database> {
  const address = readUrl(url, folder)
  if (address.kind === 'sqlite') demandFile(address.file, make)
  const db = new Kysely<Tables>({ dialect: driverFor(address, load) })
  const sentence = sentenceFor(address)
  return {
    db,
    dialect: address.kind,
    store: kyselyStore(db, { dialect: address.kind }),
    listen: address.kind === 'postgres' ? () => listenerOf(address.url, load) : undefined,
    sentence,
    async reach() {
      const late = 'it took the connection and then said nothing'
      await inTime(2 * connectTimeoutMs, sql`select 1`.execute(db), late)
    },
    async close() {
      await inTime(closeTimeoutMs, db.destroy(), 'closing').catch(() => {})
    },
  }
}

function demandFile(file: string, make: boolean): void {
  if (existsSync(file)) return
  if (!make) throw new Fault(`There is no file ${file}. The command onbehalf migrate makes one.`)
  const folder = dirname(file)
  if (!existsSync(folder)) throw new Fault(`There is no folder ${folder} for the file.`)
}

function driverFor(address: Address, load: Load): Driver {
  if (address.kind === 'sqlite') {
    return new SqliteDialect({ database: () => openSqliteFile(address.file, load) })
  }
  const { url } = address
  if (address.kind === 'mysql') {
    const options = { uri: url, connectTimeout: connectTimeoutMs, connectionLimit: 2 }
    return new MysqlDialect({ pool: load('mysql2').createPool(options) })
  }
  const pool = new (load('pg').Pool)({ ...postgresOptions(url), max: 2 })
  // A connection that is cut tells whoever uses it; without a listener it would end the process.
  pool.on('error', () => {})
  return new PostgresDialect({ pool })
}

const listenerOf = (url: string, load: Load) => new (load('pg').Client)(postgresOptions(url))

const postgresOptions = (url: string) => ({
  connectionString: url,
  connectionTimeoutMillis: connectTimeoutMs,
  application_name: 'onbehalf',
})

async function inTime<T>(ms: number, task: Promise<T>, late: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const lateness = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(late)), ms)
  })
  return Promise.race([task, lateness]).finally(() => clearTimeout(timer))
}
