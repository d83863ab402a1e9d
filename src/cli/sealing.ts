import { sql } from 'kysely'
import { type ChainKeys, macOf } from '../audit/seal.ts'
import type { ChainHead, ChainSection } from '../stores/chain.ts'
import { takeAdvisoryLocks } from '../stores/kysely/locks.ts'
import { keyVariables } from './chain-keys.ts'
import type { Tools } from './command.ts'
import { isMissingTable } from './sentences.ts'

const patienceS = 3

/** What becomes of the events that a command stores. */
export interface Sealing {
  /** What they are sealed with; undefined where they are not. */
  readonly keys?: ChainKeys
  /** Why they are not, and what comes of it; undefined where nothing is chained. */
  readonly warning?: string
  /** The first sentence of it. */
  readonly why?: string
}

/**
 * Looks whether events can be sealed. Never rejects: no seal is worth a session that goes on. A link
 * made with a key that is not the servers' could never be mended, so a key has to fit the last link.
 */
export async function sealingFor(tools: Tools): Promise<Sealing> {
  const { store, chainKeys, sentence } = tools
  let given: ChainKeys | string | undefined
  try {
    given = chainKeys()
  } catch (error) {
    given = error instanceof Error ? error.message : String(error)
  }
  try {
    await demandFree(tools)
    const head = await store.chain.readHead()
    if (typeof given === 'string') return unsealed(given, head !== null)
    if (head === null) return given ? { keys: given } : {}
    if (!given) return unsealed(`${keyVariables.key} is not set.`)
    const misfit = await misfitOf(store.chain, given, head)
    return misfit === null ? { keys: given } : unsealed(misfit)
  } catch (error) {
    if (given === undefined && isMissingTable(error)) return {}
    return unsealed(`The chain of audit events can’t be used: ${sentence(error)}`)
  }
}

/**
 * Somebody who is stuck while they seal would keep the session going for as long: in Postgres without end.
 * SQLite has one lock for everything, and gives up by itself.
 */
async function demandFree({ db, dialect }: Tools): Promise<void> {
  if (dialect === 'sqlite') return
  await db.transaction().execute(async (trx) => {
    if (dialect === 'postgres') {
      await sql`set local lock_timeout = ${sql.lit(patienceS * 1000)}`.execute(trx)
      await trx.selectFrom('impersonation_links').select('seq').limit(1).execute()
      await takeAdvisoryLocks(trx, ['chain'])
    } else {
      await sql`set session innodb_lock_wait_timeout = ${sql.lit(patienceS)}`.execute(trx)
      // What sealing locks, as the store does.
      await sql`select version from impersonation_schema where version = 4 for update`.execute(trx)
    }
  })
}

function unsealed(why: string, chained = true): Sealing {
  const found = chained ? ', and onbehalf verify will find that as event_added' : ''
  return { why, warning: `${why} What this stores of audit events is not sealed${found}.` }
}

/** Why the last link does not hold with the keys, as a sentence; null when it does. */
export async function misfitOf(
  chain: ChainSection,
  { secrets }: ChainKeys,
  { seq }: ChainHead,
): Promise<string | null> {
  const links = (await chain.readLinks(Math.max(0, seq - 2), 2)).map(({ link }) => link)
  const last = links.find((link) => link.seq === seq)
  const before = links.find((link) => link.seq === seq - 1) ?? null
  if (!last || (seq > 1 && !before)) return 'A link at the end of the chain is missing.'
  const key = secrets.get(last.keyId)
  if (!key) return `The last link was made with the key ${last.keyId}, which is not given here.`
  if (macOf(last, before, key) === last.mac) return null
  return 'The last link does not hold with the key that is given here: the key is another than the servers’, or somebody without it made the link.'
}
