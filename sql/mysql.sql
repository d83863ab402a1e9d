-- The tables of kyselyStore from 'onbehalf/kysely', version 6. Applying them twice does no harm.

create table if not exists impersonation_sessions (
  id varchar(255) not null primary key,
  actor_id varchar(255) not null,
  actor_org_id varchar(255),
  target_user_id varchar(255) not null,
  target_org_id varchar(255),
  target_role text,
  access_level varchar(64) not null,
  reason text,
  ticket text,
  grant_id varchar(255),
  break_glass smallint not null,
  transport varchar(64) not null,
  client_id text,
  ip_address text,
  user_agent text,
  created_at bigint not null,
  expires_at bigint not null,
  ended_at bigint,
  ended_reason varchar(64),
  ended_note text,
  ended_by text,
  status varchar(64) not null,
  active_actor_key varchar(256),
  active_target_key varchar(256),
  active_grant_key varchar(256),
  lapse_actor_key varchar(256),
  constraint impersonation_sessions_two_people check (cast(actor_id as binary) <> cast(target_user_id as binary)),
  constraint impersonation_sessions_active_actor_key unique (active_actor_key),
  constraint impersonation_sessions_active_target_key unique (active_target_key),
  constraint impersonation_sessions_active_grant_key unique (active_grant_key),
  key impersonation_sessions_lapse (lapse_actor_key, ended_at, id),
  key impersonation_sessions_newest (created_at, id),
  key impersonation_sessions_actor (actor_id, created_at, id),
  key impersonation_sessions_target (target_user_id, created_at, id),
  key impersonation_sessions_org (target_org_id, created_at, id),
  key impersonation_sessions_status (status, created_at, id)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists impersonation_events (
  id varchar(255) not null primary key,
  at bigint not null,
  action varchar(64) not null,
  outcome varchar(64) not null,
  code varchar(64),
  actor_id varchar(255),
  target_user_id varchar(255),
  actor_org_id varchar(255),
  target_org_id varchar(255),
  session_id varchar(255),
  grant_id varchar(255),
  reason text,
  ip_address text,
  user_agent text,
  client_id text,
  request_id text,
  details text not null,
  key impersonation_events_newest (at, id),
  key impersonation_events_session (session_id, at, id),
  key impersonation_events_actor (actor_id, at, id),
  key impersonation_events_target (target_user_id, at, id)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists impersonation_schema (
  version integer not null primary key
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

insert ignore into impersonation_schema (version) values (1);

create table if not exists impersonation_grants (
  id varchar(255) not null primary key,
  actor_id varchar(255) not null,
  actor_org_id varchar(255),
  target_user_id varchar(255) not null,
  target_org_id varchar(255),
  access_level varchar(64) not null,
  requested_access_level varchar(64) not null,
  reason text,
  ticket text,
  duration_ms bigint not null,
  status varchar(64) not null,
  created_at bigint not null,
  decided_at bigint,
  expires_at bigint not null,
  revision integer not null,
  key impersonation_grants_newest (created_at, id),
  key impersonation_grants_actor (actor_id, created_at, id),
  key impersonation_grants_target (target_user_id, created_at, id),
  key impersonation_grants_due (status, expires_at)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

insert ignore into impersonation_schema (version) values (2);

create table if not exists impersonation_requests (
  id varchar(255) not null primary key,
  kind varchar(64) not null,
  actor_id varchar(255) not null,
  actor_org_id varchar(255),
  target_user_id varchar(255) not null,
  target_org_id varchar(255),
  access_level varchar(64) not null,
  reason text,
  ticket text,
  status varchar(64) not null,
  approved_by text not null,
  denied_by varchar(255),
  attempts integer not null,
  created_at bigint not null,
  expires_at bigint not null,
  session_id varchar(255),
  revision integer not null,
  key impersonation_requests_newest (created_at, id),
  key impersonation_requests_actor (actor_id, created_at, id),
  key impersonation_requests_target (target_user_id, created_at, id),
  key impersonation_requests_due (status, expires_at)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists impersonation_codes (
  mark varchar(255) not null primary key,
  at bigint not null
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

create table if not exists impersonation_deliveries (
  id varchar(255) not null primary key,
  topic varchar(64) not null,
  user_id varchar(255) not null,
  channel text,
  payload text not null,
  status varchar(64) not null,
  attempts integer not null,
  created_at bigint not null,
  due_at bigint not null,
  settled_at bigint,
  error text,
  revision integer not null,
  key impersonation_deliveries_due (status, topic, due_at, id),
  key impersonation_deliveries_newest (created_at, id),
  key impersonation_deliveries_user (user_id, created_at, id)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

insert ignore into impersonation_schema (version) values (3);

create table if not exists impersonation_links (
  seq bigint not null primary key,
  event_id varchar(255) not null,
  key_id varchar(64) not null,
  digest varchar(64) not null,
  personal_digest varchar(64) not null,
  salt varchar(64),
  mac varchar(64) not null,
  constraint impersonation_links_event unique (event_id)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

insert ignore into impersonation_schema (version) values (4);

create table if not exists impersonation_actions (
  session_id varbinary(1020) not null,
  seq bigint not null,
  at bigint not null,
  completes bigint,
  method text,
  route text,
  path text,
  status integer,
  duration_ms bigint,
  request_id text,
  key_id varchar(64),
  mac varchar(64),
  constraint impersonation_actions_place unique (session_id, seq),
  key impersonation_actions_completes (session_id, completes, seq)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

insert ignore into impersonation_schema (version) values (5);

create table if not exists impersonation_tokens (
  id varchar(255) not null primary key,
  hash varchar(64) not null,
  user_id varchar(255) not null,
  user_org_id varchar(255),
  name text not null,
  prefix text not null,
  scopes text not null,
  issued_by varchar(255) not null,
  created_at bigint not null,
  expires_at bigint not null,
  last_used_at bigint,
  revoked_at bigint,
  revoked_by text,
  replaced_by varchar(255),
  revision integer not null,
  constraint impersonation_tokens_hash unique (hash),
  key impersonation_tokens_newest (created_at, id),
  key impersonation_tokens_user (user_id, created_at, id),
  key impersonation_tokens_org (user_org_id, created_at, id),
  key impersonation_tokens_issuer (issued_by, created_at, id),
  key impersonation_tokens_revoked (revoked_at),
  key impersonation_tokens_expired (expires_at)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

insert ignore into impersonation_schema (version) values (6);
