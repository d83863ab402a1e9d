import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { AuditEvent } from '../../types.ts'
import type { ChainedEvent, ChainHead, ChainSection, Link } from '../chain.ts'
import type { RecordedEvent } from '../outbox.ts'
import { batches } from './batches.ts'
import type { Trx } from './changes.ts'
import type { Dialect } from './dialect.ts'
import { type SectionTools, takeAdvisoryLocks } from './locks.ts'
import { retried } from './retry.ts'
import { fromEventRow, toId } from './rows.ts'
import type { EventRow, Instant, LinkRow, Tables } from './schema.ts'

/**
 * Puts events that are to be sealed at the end of the chain. It takes the last lock of its transaction,
 * so that nobody waits with it in hand for anything but the commit.
 */
export async function insertLinks(
  trx: Trx,
  dialect: Dialect,
  events: readonly RecordedEvent[],
): Promise<void> {
  const seals = events.flatMap(({ seal }) => (seal ? [seal] : []))
  if (seals.length === 0) return
  await lockChain(trx, dialect)
  const links: Link[] = []
  let head = toHead(await headQuery(trx, plain).executeTakeFirst())
  for (const seal of seals) {
    const link = seal(head)
    links.push(link)
    head = link
  }
  for (const rows of batches(links.map(toLinkRow))) {
    await trx.insertInto('impersonation_links').values(rows).execute()
  }
}

/** SQLite needs none: the transaction holds the only lock there is. */
async function lockChain(trx: Trx, dialect: Dialect): Promise<void> {
  if (dialect === 'postgres') await takeAdvisoryLocks(trx, ['chain'])
  // The row that says that the table of links is there; nobody else locks it.
  if (dialect === 'mysql')
    await sql`select version from impersonation_schema where version = 4 for update`.execute(trx)
}

const eventColumns = [
  ...(['event.id', 'event.action', 'event.outcome', 'event.code', 'event.actor_id'] as const),
  ...(['event.target_user_id', 'event.actor_org_id', 'event.target_org_id'] as const),
  ...(['event.session_id', 'event.grant_id', 'event.reason', 'event.ip_address'] as const),
  ...(['event.user_agent', 'event.client_id', 'event.request_id', 'event.details'] as const),
] as const

export function chainSection({ tables }: Pick<SectionTools, 'tables'>): ChainSection {
  return {
    async readHead() {
      const row = await read((number) => headQuery(tables, number).executeTakeFirst())
      const head = toHead(row)
      // Somebody's own row, which the walk over the links comes upon.
      return head && Number.isSafeInteger(head.seq) ? head : null
    },

    async readLinks(after, limit) {
      const rows = await read((number) =>
        tables
          .selectFrom('impersonation_links as link')
          .leftJoin('impersonation_events as event', 'event.id', 'link.event_id')
          .select(eventColumns)
          .select([
            number('event.at').as('at'),
            number('link.seq').as('seq'),
            'link.event_id',
            'link.key_id',
            'link.digest',
            'link.personal_digest',
            'link.salt',
            'link.mac',
          ])
          .where('link.seq', '>', after)
          .orderBy('link.seq')
          .limit(limit)
          .execute(),
      )
      return rows.map(fromJoined)
    },

    async readUnsealed(from, limit) {
      const rows = await read((number) =>
        tables
          .selectFrom('impersonation_events as event')
          .leftJoin('impersonation_links as link', 'link.event_id', 'event.id')
          .select(eventColumns)
          .select(number('event.at').as('at'))
          .where('event.at', '>=', from)
          .where('link.seq', 'is', null)
          .orderBy('event.at')
          .orderBy('event.id')
          .limit(limit)
          .execute(),
      )
      return rows.map(readable)
    },
  }
}

type NumberIn = (column: 'event.at' | 'link.seq') => RawBuilder<Instant>

const plain: NumberIn = (column) => sql<Instant>`${sql.ref(column)}`

/** 'none' where the number is past what JavaScript counts exactly. In SQLite's words: only it is asked so. */
const cautious: NumberIn = (column) => {
  const name = sql.ref(column)
  const [least, most] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER].map((n) => sql.lit(n))
  return sql<Instant>`case when typeof(${name}) <> 'integer' or ${name} between ${least} and ${most} then ${name} else 'none' end`
}

/**
 * Node's SQLite driver throws at a whole number that is too large: but who wrote one into a row is to be
 * found out, not to end the finding.
 */
function read<T>(query: (number: NumberIn) => Promise<T>): Promise<T> {
  return retried(() =>
    query(plain).catch((error) => {
      if (error?.code === 'ERR_OUT_OF_RANGE') return query(cautious)
      throw error
    }),
  )
}

const headQuery = (db: Kysely<Tables>, number: NumberIn) =>
  db
    .selectFrom('impersonation_links as link')
    .select([number('link.seq').as('seq'), 'link.mac'])
    .orderBy('link.seq', 'desc')
    .limit(1)

const toHead = (row: Pick<LinkRow, 'seq' | 'mac'> | undefined): ChainHead | null =>
  row ? { seq: Number(row.seq), mac: row.mac } : null

function toLinkRow(link: Link): LinkRow {
  return {
    seq: link.seq,
    event_id: toId(link.eventId),
    key_id: link.keyId,
    digest: link.digest,
    personal_digest: link.personalDigest,
    salt: link.salt,
    mac: link.mac,
  }
}

/** An event whose row is gone comes as nulls. */
type Joined = { readonly [Column in keyof EventRow]: EventRow[Column] | null } & LinkRow

function fromJoined(row: Joined): ChainedEvent {
  const link: Link = {
    seq: Number(row.seq),
    eventId: row.event_id,
    keyId: row.key_id,
    digest: row.digest,
    personalDigest: row.personal_digest,
    salt: row.salt,
    mac: row.mac,
  }
  return { link, event: row.id === null ? null : readable(row as EventRow & LinkRow) }
}

/** An event that somebody has made unreadable is handed out as one that says nothing, to be found out. */
function readable(row: EventRow): AuditEvent {
  try {
    return fromEventRow(row)
  } catch {
    return fromEventRow({ ...row, details: '{}', action: 'unreadable' })
  }
}
