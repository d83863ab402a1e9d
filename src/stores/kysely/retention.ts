import { sql } from 'kysely'
import type { RetentionSection } from '../retention.ts'
import { erasePerson } from './erasing.ts'
import type { SectionTools } from './locks.ts'
import { deletePrunable } from './pruning.ts'
import { exactlyEqual } from './queries.ts'
import { retried } from './retry.ts'
import { isStorable } from './rows.ts'

/** Pages of links are read one after the other, so that no statement is a long one. */
const surveyedAtOnce = 5_000

/** What becomes of the event of a link. */
type Fate = 'gone' | 'prunable' | 'stays'

export function retentionSection({ tables, dialect, unit }: SectionTools): RetentionSection {
  const linksAfter = (after: number, before: number) =>
    tables
      .selectFrom('impersonation_links as link')
      .leftJoin('impersonation_events as event', 'event.id', 'link.event_id')
      .leftJoin('impersonation_sessions as session', (join) =>
        join.on(exactlyEqual(dialect, 'session.id', 'event.session_id')),
      )
      .select([
        'link.seq',
        sql<Fate>`case
          when event.id is null then 'gone'
          when substr(event.action, 1, 6) = 'audit.' then 'stays'
          when session.id is null and event.at < ${before} then 'prunable'
          when session.status <> 'active' and session.ended_at < ${before} then 'prunable'
          else 'stays' end`.as('fate'),
      ])
      .where('link.seq', '>', after)
      .orderBy('link.seq')
      .limit(surveyedAtOnce)

  return {
    async surveyChain(before, atLeast) {
      let upTo = 0
      /** Up to `upTo`, and up to the link that was read last. */
      let [kept, passed, last] = [0, 0, 0]
      for (;;) {
        const rows = await retried(() => linksAfter(last, before).execute())
        for (const { seq, fate } of rows) {
          last = Number(seq)
          if (fate === 'stays' || (fate === 'gone' && last > atLeast)) passed++
          if (fate !== 'prunable' && last > atLeast) continue
          upTo = last
          kept = passed
        }
        if (rows.length < surveyedAtOnce) return { upTo: upTo === 0 ? null : upTo, kept }
      }
    },

    prune: (before, upTo, limit) =>
      unit((trx) => deletePrunable({ trx, dialect, before, upTo, limit })),

    async erasePerson(userId, upTo, limit) {
      if (!isStorable(userId)) return { rows: 0, more: false }
      return unit((trx) => erasePerson({ trx, dialect, userId, upTo, limit }))
    },
  }
}
