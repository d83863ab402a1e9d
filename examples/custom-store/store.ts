import { and, desc, eq, gt, gte, lt, or, type SQL, sql } from 'drizzle-orm'
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core'
import {
  type AuditEvent,
  type ClaimResult,
  judgeClaim,
  type Place,
  type Session,
  type SessionClaim,
  type SessionEnding,
  type Store,
} from 'onbehalf'
import type { Database } from './database.ts'
import { events, sessions } from './tables.ts'

/*
 * A store written by hand: a template for your own. Three things matter, and `storeTests` proves them.
 *
 * 1. Every verb is one transaction, the audit events that it is handed included.
 * 2. Unique keys decide races. Reading first and writing after loses them, unless, as here, the
 *    transaction locks before it reads. Where yours does not (Postgres, MySQL), the loser runs into a
 *    unique key: roll back and try again, as `unit` does, and the second reading tells what to answer.
 * 3. No policy and no clock: instants, levels and permissions come as arguments.
 *
 * It leaves out the sections that a store may lack: `grants` (then `consent` can't be switched on) and
 * `watch`.
 */

type Transaction = Parameters<Parameters<Database['transaction']>[0]>[0]

/** How long a change is tried again; the library gives up on a change after 5 s. */
const patienceMs = 4_000

export function drizzleStore(db: Database): Store {
  let last: Promise<unknown> = Promise.resolve()

  /**
   * All verbs share one connection, so they stand in line: otherwise one would read or write in the
   * middle of another's transaction. With a pool, where each transaction has a connection to itself,
   * there is no need of a line.
   */
  function inLine<T>(task: () => Promise<T>): Promise<T> {
    const turn = last.then(task)
    last = turn.catch(() => {})
    return turn
  }

  /** Does everything or nothing, and again when somebody else came first. */
  async function unit<T>(task: (tx: Transaction) => Promise<T>): Promise<T> {
    const deadline = performance.now() + patienceMs
    for (;;) {
      try {
        return await inLine(() => db.transaction(task, { behavior: 'immediate' }))
      } catch (error) {
        if (!isLostRace(error) || performance.now() > deadline) throw error
      }
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 25))
    }
  }

  return {
    name: 'drizzle',

    claimSession: (claim) => unit((tx) => claimOnce(tx, claim)),

    // The one verb that requests wait for: two rows, each by an index that holds no old rows.
    readStanding: (actorId) =>
      inLine(async () => {
        const [active] = await db
          .select()
          .from(sessions)
          .where(is(sessions.activeActorKey, actorId))
        const [lapse] = await db
          .select()
          .from(sessions)
          .where(is(sessions.lapseActorKey, actorId))
          .orderBy(desc(sessions.endedAt))
          .limit(1)
        return { active: active ? toSession(active) : null, lapse: lapse ? toSession(lapse) : null }
      }),

    readSession: (id) =>
      inLine(async () => {
        const [row] = await db.select().from(sessions).where(is(sessions.id, id))
        return row ? toSession(row) : null
      }),

    listSessions: (filter, { limit, before }) =>
      inLine(async () => {
        const rows = await db
          .select()
          .from(sessions)
          .where(
            and(
              is(sessions.status, filter.status),
              is(sessions.actorId, filter.actorId),
              is(sessions.targetUserId, filter.targetUserId),
              is(sessions.targetOrgId, filter.orgId),
              is(sessions.accessLevel, filter.accessLevel),
              filter.from === undefined ? undefined : gte(sessions.createdAt, filter.from),
              filter.to === undefined ? undefined : lt(sessions.createdAt, filter.to),
              before && after(sessions.createdAt, sessions.id, before),
            ),
          )
          .orderBy(desc(sessions.createdAt), desc(sessions.id))
          .limit(limit)
        return rows.map(toSession)
      }),

    endSession: (id, ending, event) =>
      unit(async (tx) => {
        const ended = await end(tx, id, ending)
        if (ended && event) await insertEvents(tx, event(ended, null))
        if (ended) return { session: ended, changed: true }
        const [row] = await tx.select().from(sessions).where(is(sessions.id, id))
        return row ? { session: toSession(row), changed: false } : null
      }),

    extendSession: (id, { from, to, now }, event) =>
      unit(async (tx) => {
        const [row] = await tx
          .update(sessions)
          .set({ expiresAt: to })
          // The old expiry is part of the condition: of two extensions that read the same, one wins.
          .where(
            and(
              is(sessions.id, id),
              eq(sessions.status, 'active'),
              eq(sessions.expiresAt, from),
              gt(sessions.expiresAt, now),
            ),
          )
          .returning()
        if (!row) return null
        await insertEvents(tx, event(toSession(row)))
        return toSession(row)
      }),

    acknowledgeLapses: (actorId) => unit((tx) => acknowledge(tx, actorId)),

    appendEvents: (more) => unit((tx) => insertEvents(tx, more)),

    listEvents: (filter, { limit, before }) =>
      inLine(async () => {
        return db
          .select()
          .from(events)
          .where(
            and(
              filter.action?.endsWith('*')
                ? startsWith(events.action, filter.action.slice(0, -1))
                : is(events.action, filter.action),
              is(events.actorId, filter.actorId),
              is(events.targetUserId, filter.targetUserId),
              is(events.sessionId, filter.sessionId),
              filter.from === undefined ? undefined : gte(events.at, filter.from),
              filter.to === undefined ? undefined : lt(events.at, filter.to),
              before && after(events.at, events.id, before),
            ),
          )
          .orderBy(desc(events.at), desc(events.id))
          .limit(limit)
      }),

    // A store that is handed its client would leave it alone; this one's database is its own.
    close: () => inLine(async () => db.close()),
  }
}

/** What a claim means is the library's to say; that it happens completely or not at all is ours. */
async function claimOnce(tx: Transaction, claim: SessionClaim): Promise<ClaimResult> {
  const { session, exclusiveTarget } = claim
  // Without the section `grants` nobody can ask for this; a start must not pass over a consent unseen.
  if (claim.grant) throw new Error('This store keeps no grants.')
  const isLogin = session.transport === 'session'

  // Whoever may stand in the way: the actor's own session, those on the target, the one on the grant.
  const active = eq(sessions.status, 'active')
  const rivals = await tx
    .select()
    .from(sessions)
    .where(
      or(
        isLogin ? is(sessions.activeActorKey, session.actorId) : undefined,
        // By id rather than key: a session that was started without `exclusiveTarget` counts too.
        exclusiveTarget ? and(is(sessions.targetUserId, session.targetUserId), active) : undefined,
        session.grantId === null ? undefined : is(sessions.activeGrantKey, session.grantId),
        never,
      ),
    )
  const { endings, refusal } = judgeClaim(claim, rivals.map(toSession))

  const ended: Session[] = []
  for (const { session: rival, ending } of endings) {
    const over = await end(tx, rival.id, ending)
    if (!over)
      throw new Error('A session that was active a moment ago is not: the lock did not hold.')
    await insertEvents(tx, claim.events.ended(over, null))
    ended.push(over)
  }
  // A refusal commits what has expired, and touches nothing else.
  if (refusal) return { ...refusal, ended }

  await acknowledge(tx, session.actorId)
  await tx.insert(sessions).values({
    ...toRow(session),
    activeActorKey: isLogin ? session.actorId : null,
    activeTargetKey: exclusiveTarget ? session.targetUserId : null,
    activeGrantKey: session.grantId,
  })
  await insertEvents(tx, [claim.events.started])
  return { outcome: 'started', ended }
}

/** Ends an active session: one update frees its keys. Null when it was over already, or never there. */
async function end(tx: Transaction, id: string, ending: SessionEnding): Promise<Session | null> {
  const { status, at, reason, note, by, acknowledged } = ending
  const [row] = await tx
    .update(sessions)
    .set({
      status,
      endedAt: at,
      endedReason: reason,
      endedNote: clean(note),
      endedBy: by,
      // Only logins have an actor key: a token leaves no lapse. The right side is the old value.
      lapseActorKey: acknowledged ? null : sql`${sessions.activeActorKey}`,
      activeActorKey: null,
      activeTargetKey: null,
      activeGrantKey: null,
    })
    .where(and(is(sessions.id, id), eq(sessions.status, 'active')))
    .returning()
  return row ? toSession(row) : null
}

async function acknowledge(tx: Transaction, actorId: string): Promise<void> {
  const lapses = is(sessions.lapseActorKey, actorId)
  await tx.update(sessions).set({ lapseActorKey: null }).where(lapses)
}

async function insertEvents(tx: Transaction, more: readonly AuditEvent[]): Promise<void> {
  for (const event of more)
    await tx.insert(events).values({ ...event, reason: clean(event.reason) })
}

type Row = typeof sessions.$inferSelect

/** The keys are the store's own affair. */
function toSession(row: Row): Session {
  const { activeActorKey, activeTargetKey, activeGrantKey, lapseActorKey, ...session } = row
  return session
}

/** An id that would not come back as it is must not go in: it would come back as somebody else's. */
function toRow(session: Session): Session {
  const { id, actorId, targetUserId, targetOrgId, grantId } = session
  for (const one of [id, actorId, targetUserId, targetOrgId, grantId]) {
    if (one !== null && !isKeepable(one)) throw new Error(`SQLite can't keep the id ${one}`)
  }
  return { ...session, reason: clean(session.reason) }
}

const isKeepable = (id: string) => id.isWellFormed() && !id.includes('\0') && [...id].length <= 255

/** Words, unlike ids, may suffer: a stop must not fail because of its note. */
const clean = (words: string | null) => words?.toWellFormed().replaceAll('\0', '\ufffd') ?? null

const never = sql`false`

/** No condition where none is asked for; nothing where the id can't be in here. */
function is(column: SQLiteColumn, value: string | undefined): SQL | undefined {
  if (value === undefined) return undefined
  return isKeepable(value) ? eq(column, value) : never
}

function startsWith(column: SQLiteColumn, prefix: string): SQL {
  return sql`substr(${column}, 1, ${prefix.length}) = ${prefix}`
}

function after(at: SQLiteColumn, id: SQLiteColumn, place: Place): SQL | undefined {
  return or(lt(at, place.at), and(eq(at, place.at), lt(id, place.id)))
}

/** Busy (another process has the lock), or one of the keys that decide races. */
function isLostRace(error: unknown): boolean {
  const { errcode, message } = ((error as Error).cause ?? error) as Error & { errcode?: number }
  if (errcode !== undefined && (errcode & 0xff) === 5) return true
  return /^UNIQUE constraint failed: .*\.active(Actor|Target|Grant)Key/.test(message)
}
