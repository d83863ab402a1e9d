import type { ColumnType } from 'kysely'

/** The tables as kysely sees them. Instants are milliseconds since the epoch, in a bigint. */
export interface Tables {
  impersonation_schema: { version: number }
  impersonation_sessions: SessionRow
  impersonation_events: EventRow
  impersonation_grants: GrantRow
  impersonation_requests: RequestRow
  impersonation_codes: CodeRow
  impersonation_deliveries: DeliveryRow
  impersonation_links: LinkRow
  impersonation_actions: ActionTable
  impersonation_tokens: TokenTable
}

/** Some drivers give a bigint as a string, so that no digit is lost. */
export type Instant = number | string | bigint

export interface SessionRow {
  id: string
  actor_id: string
  actor_org_id: string | null
  target_user_id: string
  target_org_id: string | null
  target_role: string | null
  access_level: string
  reason: string | null
  ticket: string | null
  grant_id: string | null
  break_glass: number
  transport: string
  client_id: string | null
  ip_address: string | null
  user_agent: string | null
  created_at: Instant
  expires_at: Instant
  ended_at: Instant | null
  ended_reason: string | null
  ended_note: string | null
  ended_by: string | null
  status: string
  /** The three that decide races: unique, set while the session is active, null once it ended. */
  active_actor_key: string | null
  active_target_key: string | null
  active_grant_key: string | null
  /** Set from an ending that the actor does not know of until they do. */
  lapse_actor_key: string | null
}

export interface EventRow {
  id: string
  at: Instant
  action: string
  outcome: string
  code: string | null
  actor_id: string | null
  target_user_id: string | null
  actor_org_id: string | null
  target_org_id: string | null
  session_id: string | null
  grant_id: string | null
  reason: string | null
  ip_address: string | null
  user_agent: string | null
  client_id: string | null
  request_id: string | null
  /** JSON. */
  details: string
}

export interface GrantRow {
  id: string
  actor_id: string
  actor_org_id: string | null
  target_user_id: string
  target_org_id: string | null
  access_level: string
  requested_access_level: string
  reason: string | null
  ticket: string | null
  duration_ms: Instant
  status: string
  created_at: Instant
  decided_at: Instant | null
  expires_at: Instant
  revision: number
}

export interface RequestRow {
  id: string
  kind: string
  actor_id: string
  actor_org_id: string | null
  target_user_id: string
  target_org_id: string | null
  access_level: string
  reason: string | null
  ticket: string | null
  status: string
  /** JSON: an array of ids. */
  approved_by: string
  denied_by: string | null
  attempts: number
  created_at: Instant
  expires_at: Instant
  session_id: string | null
  revision: number
}

/** One-time codes that were tried. */
export interface CodeRow {
  mark: string
  at: Instant
}

export interface DeliveryRow {
  id: string
  topic: string
  user_id: string
  channel: string | null
  /** JSON. */
  payload: string
  status: string
  attempts: number
  created_at: Instant
  due_at: Instant
  settled_at: Instant | null
  error: string | null
  revision: number
}

export interface LinkRow {
  seq: Instant
  event_id: string
  key_id: string
  digest: string
  personal_digest: string
  salt: string | null
  mac: string
}

/** An entry of a trail. */
export interface ActionRow {
  session_id: string
  seq: Instant
  at: Instant
  completes: Instant | null
  method: string | null
  route: string | null
  path: string | null
  status: number | null
  duration_ms: Instant | null
  request_id: string | null
  key_id: string | null
  mac: string | null
}

/** MySQL keeps the id of the session as bytes, and gives them as such unless told otherwise. */
interface ActionTable extends Omit<ActionRow, 'session_id'> {
  session_id: ColumnType<string | Uint8Array, string, string>
}

/** An API token without its hash. */
export interface TokenRow {
  id: string
  user_id: string
  user_org_id: string | null
  name: string
  prefix: string
  /** JSON: an array of words. */
  scopes: string
  issued_by: string
  created_at: Instant
  expires_at: Instant
  last_used_at: Instant | null
  revoked_at: Instant | null
  revoked_by: string | null
  replaced_by: string | null
  revision: number
}

/** The hash is given once, and compared from then on. */
interface TokenTable extends TokenRow {
  hash: ColumnType<string, string, never>
}
