/**
 * What it costs to prune 50,000 sessions of 250,000, with 1,000,000 sealed events, and to erase a person:
 * `node test/bench/prune.ts [sqlite] [postgres] [mysql]`.
 */
import { type ChainKeys, sealOf } from '../../src/audit/seal.ts'
import { createRetention } from '../../src/lifecycle/retention.ts'
import type { Link } from '../../src/stores/chain.ts'
import { kyselyStore, migrate } from '../../src/stores/kysely/index.ts'
import { toEventRow, toSessionRow } from '../../src/stores/kysely/rows.ts'
import { eventOf, sessionOf } from '../../src/testing/store/fixtures.ts'
import type { Session } from '../../src/types.ts'
import { kyselyOn, sqliteKysely } from '../support/connect.ts'
import { dropDatabase, type Kind, makeDatabase } from '../support/databases.ts'

const [all, gone] = (process.env.SESSIONS ?? '250000,50000').split(',').map(Number) as [
  number,
  number,
]
const perBatch = 500
const began = Date.UTC(2030, 0, 1)
const minute = 60_000
const keys: ChainKeys = {
  current: 'bench',
  secrets: new Map([['bench', new TextEncoder().encode('measured'.padEnd(32))]]),
}

function sessionNumber(n: number): Session {
  const createdAt = began + n * minute
  return sessionOf({
    id: `00000000-0000-4000-9000-${String(n).padStart(12, '0')}`,
    ...{ actorId: `actor-${n % 1000}`, targetUserId: `target-${n % 7000}` },
    reason: `ticket ${n}: the customer cannot see the invoice`,
    userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
    ...{ createdAt, expiresAt: createdAt + 30 * minute, endedAt: createdAt + 9 * minute },
    ...{ status: 'stopped', endedReason: 'stopped' },
  })
}

const kinds = process.argv.slice(2) as Kind[]
for (const kind of kinds.length > 0 ? kinds : (['sqlite', 'postgres'] as const)) {
  const address = await makeDatabase(kind)
  const db =
    address.kind === 'sqlite'
      ? sqliteKysely(address.file)
      : kyselyOn(address.kind, address.database)
  try {
    await migrate(db)
    let head: Link | null = null
    for (let n = 0; n < all; n += perBatch) {
      const sessions = Array.from({ length: Math.min(perBatch, all - n) }, (_, k) =>
        sessionNumber(n + k),
      )
      const links: Link[] = []
      const events = sessions.flatMap((session) =>
        (['started', 'write_blocked', 'write_blocked', 'stopped'] as const).map((what, place) => {
          const at = session.createdAt + place * minute
          const changes = { id: crypto.randomUUID(), at, details: { ended_note: null } }
          return eventOf(`impersonation.${what}`, session, changes)
        }),
      )
      for (const event of events) {
        head = sealOf(event, keys)(head)
        links.push(head)
      }
      await db.transaction().execute(async (trx) => {
        const rows = sessions.map((session) => toSessionRow(session, false))
        const ended = rows.map((row) => ({ ...row, active_actor_key: null }))
        await trx.insertInto('impersonation_sessions').values(ended).execute()
        for (let k = 0; k < events.length; k += perBatch) {
          const some = events.slice(k, k + perBatch).map(toEventRow)
          await trx.insertInto('impersonation_events').values(some).execute()
          const linked = links.slice(k, k + perBatch).map((link) => ({
            ...{ seq: link.seq, event_id: link.eventId, key_id: link.keyId, salt: link.salt },
            ...{ digest: link.digest, personal_digest: link.personalDigest, mac: link.mac },
          }))
          await trx.insertInto('impersonation_links').values(linked).execute()
        }
      })
    }

    const store = kyselyStore(db)
    const { chain, retention } = store
    const seconds: Record<string, number> = {}
    const measured =
      <Args extends unknown[], T>(name: string, task: (...args: Args) => Promise<T>) =>
      async (...args: Args): Promise<T> => {
        const start = performance.now()
        try {
          return await task(...args)
        } finally {
          seconds[name] = (seconds[name] ?? 0) + (performance.now() - start) / 1000
        }
      }
    const { prune, erase } = createRetention({
      store: {
        chain: { ...chain, readLinks: measured('reading the chain', chain.readLinks) },
        retention: {
          surveyChain: measured('the survey', retention.surveyChain),
          prune: measured('deleting', retention.prune),
          erasePerson: measured('erasing', retention.erasePerson),
        },
      },
      chainKeys: keys,
      now: () => began + all * minute + 99 * 24 * 60 * minute,
      settle: async () => {},
      append: (event) => store.appendEvents([{ ...event, seal: sealOf(event, keys) }]),
    })
    const pruned = await measured('prune', prune)({ before: began + (gone + 9) * minute })
    const erased = await measured('erase', erase)('actor-7')
    const told = Object.entries(seconds).map(([name, s]) => `${name} ${s.toFixed(1)} s`)
    console.log(`${kind}: ${JSON.stringify({ ...pruned, ...erased })}; ${told.join(', ')}`)
  } finally {
    await db.destroy()
    await dropDatabase(address)
  }
}
