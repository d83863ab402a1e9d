import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import {
  type AuditEvent,
  accessLevels,
  endedReasons,
  eventActions,
  sessionStatuses,
  transports,
} from 'onbehalf'

/** The columns carry the names of the fields of `Session` and `AuditEvent`, so that a row is one. */
export const sessions = sqliteTable(
  'impersonation_sessions',
  {
    id: text().primaryKey(),
    actorId: text().notNull(),
    actorOrgId: text(),
    targetUserId: text().notNull(),
    targetOrgId: text(),
    targetRole: text(),
    accessLevel: text({ enum: accessLevels }).notNull(),
    reason: text(),
    ticket: text(),
    grantId: text(),
    breakGlass: integer({ mode: 'boolean' }).notNull(),
    transport: text({ enum: transports }).notNull(),
    clientId: text(),
    ipAddress: text(),
    userAgent: text(),
    createdAt: integer().notNull(),
    expiresAt: integer().notNull(),
    endedAt: integer(),
    endedReason: text({ enum: endedReasons }),
    endedNote: text(),
    endedBy: text(),
    status: text({ enum: sessionStatuses }).notNull(),

    // These decide races: unique, set while the session is active, null once it has ended. Any number
    // of rows may be null, so the history keeps its rows; a partial index would do the same.
    activeActorKey: text().unique(),
    activeTargetKey: text().unique(),
    activeGrantKey: text().unique(),
    // Set by an ending that the actor does not know of, null from when they do.
    lapseActorKey: text(),
  },
  (table) => [
    index('impersonation_lapses').on(table.lapseActorKey),
    index('impersonation_targets').on(table.targetUserId, table.status),
    index('impersonation_newest').on(table.createdAt, table.id),
  ],
)

export const events = sqliteTable(
  'impersonation_events',
  {
    id: text().primaryKey(),
    at: integer().notNull(),
    action: text({ enum: eventActions }).notNull(),
    outcome: text({ enum: ['success', 'refused'] }).notNull(),
    code: text(),
    actorId: text(),
    targetUserId: text(),
    actorOrgId: text(),
    targetOrgId: text(),
    sessionId: text(),
    grantId: text(),
    reason: text(),
    ipAddress: text(),
    userAgent: text(),
    clientId: text(),
    requestId: text(),
    details: text({ mode: 'json' }).$type<AuditEvent['details']>().notNull(),
  },
  (table) => [
    index('impersonation_events_newest').on(table.at, table.id),
    index('impersonation_events_session').on(table.sessionId),
  ],
)
