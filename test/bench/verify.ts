/**
 * What it costs to verify a chain of 1,000,000 events, and whether it takes more memory than one of 100,000:
 * `node test/bench/verify.ts [sqlite] [postgres]`. Each walk is a process of its own; it tells its peak.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { type Kysely, sql } from 'kysely'
import { type ChainKeys, sealOf } from '../../src/audit/seal.ts'
import { verifyChain } from '../../src/audit/verify.ts'
import type { ChainHead } from '../../src/stores/chain.ts'
import { toEventRow } from '../../src/stores/kysely/rows.ts'
import type { EventRow, LinkRow, Tables } from '../../src/stores/kysely/schema.ts'
import type { AuditEvent } from '../../src/types.ts'
import { type Address, connect, kyselyOn } from '../support/connect.ts'
import { dropDatabase, makeDatabase } from '../support/databases.ts'
import { migrateAt } from '../support/migrate.ts'

const sizes = (process.env.SIZES ?? '100000,1000000').split(',').map(Number)
const perBatch = 5_000
const keys: ChainKeys = {
  current: 'bench',
  secrets: new Map([['bench', new TextEncoder().encode('measured'.padEnd(32))]]),
}

const eventOf = (n: number): AuditEvent => ({
  id: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
  at: Date.UTC(2030, 0, 1) + n,
  action: n % 2 === 0 ? 'impersonation.started' : 'impersonation.stopped',
  outcome: 'success',
  code: null,
  actorId: `actor-${n % 1000}`,
  targetUserId: `target-${n % 7000}`,
  actorOrgId: 'hq',
  targetOrgId: 'acme',
  sessionId: `00000000-0000-4000-9000-${String(n >> 1).padStart(12, '0')}`,
  grantId: null,
  reason: `ticket ${n}: the customer cannot see the invoice`,
  ipAddress: '192.0.2.1',
  userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
  clientId: null,
  requestId: `request-${n}`,
  details: { access_level: 'view', expires_at: n, ended_note: null },
})

interface Batch {
  readonly events: EventRow[]
  readonly links: LinkRow[]
}

interface End {
  head: ChainHead | null
}

/** Events behind the end until there are `to`; moves it there. */
function* batchesTo(to: number, end: End): Generator<Batch> {
  for (let n = end.head?.seq ?? 0; n < to; ) {
    const batch: Batch = { events: [], links: [] }
    for (const last = Math.min(n + perBatch, to); n < last; n++) {
      const event = eventOf(n)
      const link = sealOf(event, keys)(end.head)
      end.head = link
      batch.events.push(toEventRow(event))
      const { seq, eventId: event_id, keyId: key_id, digest, salt, mac } = link
      const row = { seq, event_id, key_id, digest, personal_digest: link.personalDigest, salt, mac }
      batch.links.push(row)
    }
    yield batch
  }
}

/** Past the store: by one prepared statement, or one parameter for each batch. */
async function fill(address: Address, batches: Iterable<Batch>): Promise<void> {
  if (address.kind === 'sqlite') {
    const db = new DatabaseSync(address.file)
    const insert = (table: string, rows: readonly object[]) => {
      const columns = Object.keys(rows[0] ?? {})
      const marks = columns.map(() => '?').join(', ')
      const statement = db.prepare(`insert into ${table} (${columns.join(', ')}) values (${marks})`)
      for (const row of rows) statement.run(...Object.values(row))
    }
    for (const { events, links } of batches) {
      db.exec('begin')
      insert('impersonation_events', events)
      insert('impersonation_links', links)
      db.exec('commit')
    }
    db.close()
    return
  }
  const db: Kysely<Tables> = kyselyOn(address.kind, address.database, 1)
  const insert = (table: string, rows: readonly object[]) =>
    sql`insert into ${sql.table(table)} select * from json_populate_recordset(null::${sql.table(table)}, ${JSON.stringify(rows)}::json)`.execute(
      db,
    )
  for (const { events, links } of batches) {
    await insert('impersonation_events', events)
    await insert('impersonation_links', links)
  }
  await sql`analyze`.execute(db)
  await db.destroy()
}

interface Walk {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly checked: number
  readonly ok: boolean
  readonly peakMb: number
}

/** In the process that walks. */
async function walk(address: Address): Promise<Walk> {
  const { store, close } = connect(address, 1)
  if (!store.chain) throw new Error('This store has no chain.')
  const [began, cpuBegan] = [performance.now(), process.cpuUsage()]
  const { ok, checked } = await verifyChain(store.chain, keys)
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(cpuBegan)
  await close()
  const cpuSeconds = (user + system) / 1e6
  return { ok, checked, seconds, cpuSeconds, peakMb: process.resourceUsage().maxRSS / 1024 }
}

async function walkElsewhere(address: Address): Promise<Walk> {
  const child = fork(fileURLToPath(import.meta.url), ['walk', JSON.stringify(address)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  const [told] = await once(child, 'message')
  return told
}

async function measure(kind: 'sqlite' | 'postgres'): Promise<void> {
  const address = await makeDatabase(kind)
  try {
    await migrateAt(address)
    const end: End = { head: null }
    for (const to of sizes) {
      const began = performance.now()
      await fill(address, batchesTo(to, end))
      const filled = (performance.now() - began) / 1000
      const { ok, checked, seconds, cpuSeconds, peakMb } = await walkElsewhere(address)
      if (!ok || checked !== to) throw new Error(`${checked} of ${to} hold`)
      console.log(
        `${kind}: ${to} events in ${seconds.toFixed(1)} s (${cpuSeconds.toFixed(1)} s of CPU), ${peakMb.toFixed(0)} MB at most; filled in ${filled.toFixed(0)} s`,
      )
    }
  } finally {
    await dropDatabase(address)
  }
}

if (process.argv[2] === 'walk') process.send?.(await walk(JSON.parse(process.argv[3] ?? '')))
else {
  const asked = (['sqlite', 'postgres'] as const).filter((kind) => process.argv.includes(kind))
  for (const kind of asked.length > 0 ? asked : (['sqlite'] as const)) await measure(kind)
}
