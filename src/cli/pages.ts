import type { EventFilter, Place, SessionFilter, Store } from '../stores/store.ts'
import type { AuditEvent, Session } from '../types.ts'

const sessionsPerPage = 200
const eventsPerPage = 500

/** Sessions that match, newest first, read as they are asked for. */
export async function* sessionsOf(
  store: Pick<Store, 'listSessions'>,
  filter: SessionFilter,
  most = Number.POSITIVE_INFINITY,
): AsyncGenerator<Session> {
  let before: Place | undefined
  for (let left = most; left > 0; ) {
    const limit = Math.min(sessionsPerPage, left)
    const page = await store.listSessions(filter, { limit, before })
    yield* page
    const last = page.at(-1)
    if (!last || page.length < limit) return
    before = { at: last.createdAt, id: last.id }
    left -= page.length
  }
}

/** Pages of events that match, newest first. One is in memory at a time. */
export async function* eventPagesOf(
  store: Pick<Store, 'listEvents'>,
  filter: EventFilter,
): AsyncGenerator<readonly AuditEvent[]> {
  let before: Place | undefined
  for (;;) {
    const page = await store.listEvents(filter, { limit: eventsPerPage, before })
    const last = page.at(-1)
    if (!last) return
    yield page
    if (page.length < eventsPerPage) return
    before = { at: last.at, id: last.id }
  }
}
