import type { Grant } from '../../types.ts'
import type { GrantSection, SessionEnding } from '../store.ts'
import { endRow, sessionById, swapGrant, type Trx } from './changes.ts'
import { grantName } from './claims.ts'
import { insertEvents } from './events.ts'
import type { SectionTools } from './locks.ts'
import { exactly, grantsQuery } from './queries.ts'
import type { Queue } from './queue.ts'
import { LostRace, retried } from './retry.ts'
import { fromGrantRow, isStorable, toGrantRow, toKey } from './rows.ts'
import type { HeadOf } from './trail.ts'

interface GrantTools extends SectionTools {
  readonly queue: Queue
  /** Tells other processes of actors whose sessions changed. */
  readonly tell: (trx: Trx, actorIds: Iterable<string>) => Promise<void>
  readonly headOf: HeadOf
}

export function grantSection(tools: GrantTools): GrantSection {
  const { tables, dialect, unit, queue, tell, headOf } = tools

  return {
    createGrant: (grant, events) =>
      unit(async (trx) => {
        await trx.insertInto('impersonation_grants').values(toGrantRow(grant)).execute()
        await insertEvents(trx, dialect, events)
      }),

    readGrant: (grantId) => retried(() => grantById(grantId)),

    async listGrants(filter, page) {
      const query = grantsQuery(tables, dialect, filter, page)
      return query ? (await retried(() => query.execute())).map(fromGrantRow) : []
    },

    async changeGrant(change, events, ending) {
      const { id } = change.after
      if (!isStorable(id)) return { changed: false }
      return queue([grantName(id)], () =>
        unit(async (trx) => {
          // The grant before its session, like everybody who changes both.
          if (!(await swapGrant(trx, dialect, change))) return { changed: false }
          const ended = ending && (await endUnder(trx, id, ending.how))
          const trail = ended && (await headOf(trx, ended.id))
          await insertEvents(trx, dialect, events)
          if (ended) {
            await insertEvents(trx, dialect, ending.event(ended, trail))
            await tell(trx, [ended.actorId])
          }
          return { changed: true, ended }
        }),
      )
    },
  }

  async function grantById(grantId: string): Promise<Grant | null> {
    if (!isStorable(grantId)) return null
    const row = await tables
      .selectFrom('impersonation_grants')
      .selectAll()
      .where(exactly(dialect, 'id', grantId))
      .executeTakeFirst()
    return row ? fromGrantRow(row) : null
  }

  /** Ends the active session under a grant that is locked. */
  async function endUnder(trx: Trx, grantId: string, ending: SessionEnding) {
    const row = await trx
      .selectFrom('impersonation_sessions')
      .select('id')
      .where('active_grant_key', '=', toKey(grantId))
      .executeTakeFirst()
    if (!row) return null
    if (!(await endRow(trx, dialect, row.id, ending))) throw new LostRace()
    return sessionById(trx, dialect, row.id)
  }
}
