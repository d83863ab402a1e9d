import { sql } from 'kysely'
import { schemaVersion } from '../stores/kysely/migrations.ts'
import type { Tables } from '../stores/kysely/schema.ts'
import { chain } from './check-chain.ts'
import { skew } from './check-clock.ts'
import { keys } from './check-keys.ts'
import { hearing } from './check-listen.ts'
import { outbox, sessions } from './check-work.ts'
import type { Tools } from './command.ts'
import { isMissingTable } from './sentences.ts'
import { storedVersion } from './version.ts'

/** One finding of the doctor. */
export interface Check {
  readonly name: string
  readonly status: 'ok' | 'warn' | 'fail'
  /** A sentence. */
  readonly found: string
  /** What to do about it. */
  readonly todo?: string
}

export async function reachable({ reach, sentence }: Tools): Promise<Check> {
  const name = 'reachable'
  try {
    await reach()
    return { name, status: 'ok', found: 'the database answers.' }
  } catch (error) {
    return { name, status: 'fail', found: sentence(error) }
  }
}

/** Everything else, one after the other; what asks for tables that are not there is left out. */
export async function* checksAfter(tools: Tools): AsyncGenerator<Check> {
  const checked = (name: string, check: (tools: Tools) => Promise<Omit<Check, 'name'>>) =>
    check(tools).then(
      (found): Check => ({ name, ...found }),
      (error): Check => ({ name, status: 'fail', found: tools.sentence(error) }),
    )
  yield checked('clock', skew)
  yield checked('schema', schema)
  const there = await tablesThere(tools).catch(() => new Set<keyof Tables>())
  if (there.has('impersonation_sessions')) {
    yield checked('sessions', sessions)
    yield checked('keys', keys)
  }
  if (there.has('impersonation_deliveries')) yield checked('outbox', outbox)
  if (there.has('impersonation_links') && there.has('impersonation_events'))
    yield checked('chain', chain)
  if (tools.listen) yield checked('listen', hearing)
}

async function schema(tools: Tools): Promise<Omit<Check, 'name'>> {
  const version = await storedVersion(tools.db)
  const todo = 'Run onbehalf migrate.'
  if (version === 0) return { status: 'fail', found: 'the tables are missing.', todo }
  if (version < schemaVersion) {
    const found = `the tables are at version ${version}, and this release needs ${schemaVersion}.`
    return { status: 'fail', found, todo }
  }
  const there = await tablesThere(tools)
  const lost = tables.filter((table) => !there.has(table))
  if (lost.length > 0) {
    const found = `the tables are at version ${version}, but ${lost.join(', ')} can’t be read.`
    return { status: 'fail', found, todo: 'Apply what onbehalf migrate --sql prints.' }
  }
  if (version === schemaVersion) return { status: 'ok', found: `version ${version}.` }
  return {
    status: 'warn',
    found: `the tables are at version ${version}, and this release knows ${schemaVersion}.`,
    todo: 'Use the release of onbehalf that your servers use.',
  }
}

/** A record, so that a table can't be forgotten. */
const tables = Object.keys({
  impersonation_schema: true,
  impersonation_sessions: true,
  impersonation_events: true,
  impersonation_grants: true,
  impersonation_requests: true,
  impersonation_codes: true,
  impersonation_deliveries: true,
  impersonation_links: true,
  impersonation_actions: true,
  impersonation_tokens: true,
} satisfies Record<keyof Tables, true>) as (keyof Tables)[]

async function tablesThere({ db }: Tools): Promise<ReadonlySet<keyof Tables>> {
  const there = new Set<keyof Tables>()
  for (const table of tables) {
    const looked = sql`select 1 from ${sql.table(table)} where 1 = 0`.execute(db)
    await looked.then(
      () => there.add(table),
      (error) => {
        if (!isMissingTable(error)) throw error
      },
    )
  }
  return there
}
