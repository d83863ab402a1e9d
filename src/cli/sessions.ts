import { oneLine } from '../audit/formats.ts'
import { sessionToWire } from '../http/wire.ts'
import type { SessionFilter } from '../stores/store.ts'
import { type Session, sessionStatuses } from '../types.ts'
import { countOf, oneOf, refuseWords, spanOf } from './args.ts'
import type { Command } from './command.ts'
import { exits } from './faults.ts'
import { count, instant, table } from './output.ts'
import { sessionsOf } from './pages.ts'
import { peopleOf, peopleOptions } from './people.ts'

const statuses = [...sessionStatuses, 'all'] as const
const mostRows = 100_000

interface Args {
  readonly filter: SessionFilter
  readonly limit: number
}

export const sessionsCommand: Command<Args> = {
  usage: '[options]',
  about: 'Shows sessions, newest first: the active ones, unless told otherwise.',
  options: {
    status: { value: 'status', help: `${statuses.join(', ')}; default active` },
    ...peopleOptions,
    from: { value: 'instant', help: 'begun at or after: ISO 8601, or ms since the epoch' },
    to: { value: 'instant', help: 'begun before' },
    limit: { value: 'n', help: 'at most so many; default 50' },
  },

  read(given) {
    refuseWords(given)
    const status = oneOf(given, 'status', statuses) ?? 'active'
    return {
      filter: { ...peopleOf(given), ...spanOf(given), ...(status !== 'all' && { status }) },
      limit: countOf(given, 'limit', mostRows) ?? 50,
    }
  },

  async run({ store, out, err, now, json }, { filter, limit }) {
    const found: Session[] = []
    let more = false
    for await (const session of sessionsOf(store, filter, limit + 1)) {
      more = found.length === limit
      if (!more) found.push(session)
    }
    if (json) {
      for (const session of found) await out.write(`${oneLine(sessionToWire(session))}\n`)
    } else if (found.length > 0) {
      await out.write(sessionTable(found, now()))
    }
    if (!json && found.length === 0) await err.write('No session matches.\n')
    if (more) await err.write(`There are more than ${count(limit, 'session')}: raise --limit.\n`)
    return exits.done
  },
}

export function sessionTable(sessions: readonly Session[], now: number): string {
  return table(
    ['SESSION', 'STATUS', 'ACTOR', 'TARGET', 'LEVEL', 'BEGUN', 'ENDS OR ENDED', 'REASON'],
    sessions.map((session) => [
      session.id,
      statusOf(session, now),
      session.actorId,
      session.targetUserId,
      session.breakGlass ? `${session.accessLevel}, break-glass` : session.accessLevel,
      instant(session.createdAt),
      instant(session.endedAt ?? session.expiresAt),
      session.reason ?? '',
    ]),
  )
}

function statusOf({ status, endedReason, expiresAt }: Session, now: number): string {
  if (status === 'active') return expiresAt > now ? status : 'active, time is up'
  return endedReason === null || endedReason === status ? status : `${status}, ${endedReason}`
}
