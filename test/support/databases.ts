import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { type Address, type Server, servers } from './connect.ts'

export type Kind = Address['kind']

export const kinds: readonly Kind[] = ['sqlite', 'postgres', 'mysql']

/** Runs a statement on a server, outside of any test's database. */
export async function administer(server: Server, statement: string): Promise<void> {
  if (server === 'mysql') {
    const connection = await createConnection(servers.mysql)
    await connection.query(statement).finally(() => connection.end())
    return
  }
  const client = new pg.Client({ ...servers.postgres, database: 'postgres' })
  await client.connect()
  await client.query(statement).finally(() => client.end())
}

let serial = 0

/** Makes an empty database, or a directory with the path of an SQLite file that is not there yet. */
export async function makeDatabase(kind: Kind): Promise<Address> {
  if (kind === 'sqlite') {
    return { kind, file: join(await mkdtemp(join(tmpdir(), 'onbehalf-')), 'impersonation.db') }
  }
  const database = `onbehalf_${process.pid}_${Date.now().toString(36)}_${++serial}`
  await administer(kind, `create database ${database}`)
  return { kind, database }
}

export async function dropDatabase(address: Address): Promise<void> {
  if (address.kind === 'sqlite') {
    return rm(dirname(address.file), { recursive: true, maxRetries: 5 })
  }
  const force = address.kind === 'postgres' ? ' with (force)' : ''
  await administer(address.kind, `drop database if exists ${address.database}${force}`)
}

const missing = new Map<Kind, unknown>()
for (const server of ['postgres', 'mysql'] as const) {
  await administer(server, 'select 1').catch((error) => missing.set(server, error))
}

/**
 * `describe` for tests that need a database. Where its server is not running they fail on CI, and are skipped
 * elsewhere, out loud. Nothing else in the tests may skip.
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
