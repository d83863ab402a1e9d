-- The tables of kyselyStore from 'onbehalf/kysely', version 6. Applying them twice does no harm.

create table if not exists impersonation_sessions (
  id varchar(255) collate "C" not null primary key,
  actor_id varchar(255) collate "C" not null,
  actor_org_id varchar(255) collate "C",
  target_user_id varchar(255) collate "C" not null,
  target_org_id varchar(255) collate "C",
  target_role text,
  access_level varchar(64) collate "C" not null,
  reason text,
  ticket text,
  grant_id varchar(255) collate "C",
  break_glass smallint not null,
  transport varchar(64) collate "C" not null,
  client_id text,
  ip_address text,
  user_agent text,
  created_at bigint not null,
  expires_at bigint not null,
  ended_at bigint,
  ended_reason varchar(64) collate "C",
  ended_note text,
  ended_by text,
  status varchar(64) collate "C" not null,
  active_actor_key varchar(256) collate "C",
  active_target_key varchar(256) collate "C",
  active_grant_key varchar(256) collate "C",
  lapse_actor_key varchar(256) collate "C",
  constraint impersonation_sessions_two_people check (actor_id <> target_user_id),
  constraint impersonation_sessions_active_actor_key unique (active_actor_key),
  constraint impersonation_sessions_active_target_key unique (active_target_key),
  constraint impersonation_sessions_active_grant_key unique (active_grant_key)
);

create index if not exists impersonation_sessions_lapse on impersonation_sessions (lapse_actor_key, ended_at, id);

create index if not exists impersonation_sessions_newest on impersonation_sessions (created_at, id);

create index if not exists impersonation_sessions_actor on impersonation_sessions (actor_id, created_at, id);

create index if not exists impersonation_sessions_target on impersonation_sessions (target_user_id, created_at, id);

create index if not exists impersonation_sessions_org on impersonation_sessions (target_org_id, created_at, id);

create index if not exists impersonation_sessions_status on impersonation_sessions (status, created_at, id);

create table if not exists impersonation_events (
  id varchar(255) collate "C" not null primary key,
  at bigint not null,
  action varchar(64) collate "C" not null,
  outcome varchar(64) collate "C" not null,
  code varchar(64) collate "C",
  actor_id varchar(255) collate "C",
  target_user_id varchar(255) collate "C",
  actor_org_id varchar(255) collate "C",
  target_org_id varchar(255) collate "C",
  session_id varchar(255) collate "C",
  grant_id varchar(255) collate "C",
  reason text,
  ip_address text,
  user_agent text,
  client_id text,
  request_id text,
  details text not null
);

create index if not exists impersonation_events_newest on impersonation_events (at, id);

create index if not exists impersonation_events_session on impersonation_events (session_id, at, id);

create index if not exists impersonation_events_actor on impersonation_events (actor_id, at, id);

create index if not exists impersonation_events_target on impersonation_events (target_user_id, at, id);

create table if not exists impersonation_schema (
  version integer not null primary key
);

insert into impersonation_schema (version) values (1) on conflict do nothing;

create table if not exists impersonation_grants (
  id varchar(255) collate "C" not null primary key,
  actor_id varchar(255) collate "C" not null,
  actor_org_id varchar(255) collate "C",
  target_user_id varchar(255) collate "C" not null,
  target_org_id varchar(255) collate "C",
  access_level varchar(64) collate "C" not null,
  requested_access_level varchar(64) collate "C" not null,
  reason text,
  ticket text,
  duration_ms bigint not null,
  status varchar(64) collate "C" not null,
  created_at bigint not null,
  decided_at bigint,
  expires_at bigint not null,
  revision integer not null
);

create index if not exists impersonation_grants_newest on impersonation_grants (created_at, id);

create index if not exists impersonation_grants_actor on impersonation_grants (actor_id, created_at, id);

create index if not exists impersonation_grants_target on impersonation_grants (target_user_id, created_at, id);

create index if not exists impersonation_grants_due on impersonation_grants (status, expires_at);

insert into impersonation_schema (version) values (2) on conflict do nothing;

create table if not exists impersonation_requests (
  id varchar(255) collate "C" not null primary key,
  kind varchar(64) collate "C" not null,
  actor_id varchar(255) collate "C" not null,
  actor_org_id varchar(255) collate "C",
  target_user_id varchar(255) collate "C" not null,
  target_org_id varchar(255) collate "C",
  access_level varchar(64) collate "C" not null,
  reason text,
  ticket text,
  status varchar(64) collate "C" not null,
  approved_by text not null,
  denied_by varchar(255) collate "C",
  attempts integer not null,
  created_at bigint not null,
  expires_at bigint not null,
  session_id varchar(255) collate "C",
  revision integer not null
);

create index if not exists impersonation_requests_newest on impersonation_requests (created_at, id);

create index if not exists impersonation_requests_actor on impersonation_requests (actor_id, created_at, id);

create index if not exists impersonation_requests_target on impersonation_requests (target_user_id, created_at, id);

create index if not exists impersonation_requests_due on impersonation_requests (status, expires_at);

create table if not exists impersonation_codes (
  mark varchar(255) collate "C" not null primary key,
  at bigint not null
);

create table if not exists impersonation_deliveries (
  id varchar(255) collate "C" not null primary key,
  topic varchar(64) collate "C" not null,
  user_id varchar(255) collate "C" not null,
  channel text,
  payload text not null,
  status varchar(64) collate "C" not null,
  attempts integer not null,
  created_at bigint not null,
  due_at bigint not null,
  settled_at bigint,
  error text,
  revision integer not null
);

create index if not exists impersonation_deliveries_due on impersonation_deliveries (status, topic, due_at, id);

create index if not exists impersonation_deliveries_newest on impersonation_deliveries (created_at, id);

create index if not exists impersonation_deliveries_user on impersonation_deliveries (user_id, created_at, id);

insert into impersonation_schema (version) values (3) on conflict do nothing;

create table if not exists impersonation_links (
  seq bigint not null primary key,
  event_id varchar(255) collate "C" not null,
  key_id varchar(64) collate "C" not null,
  digest varchar(64) collate "C" not null,
  personal_digest varchar(64) collate "C" not null,
  salt varchar(64) collate "C",
  mac varchar(64) collate "C" not null,
  constraint impersonation_links_event unique (event_id)
);

insert into impersonation_schema (version) values (4) on conflict do nothing;

create table if not exists impersonation_actions (
  session_id varchar(255) collate "C" not null,
  seq bigint not null,
  at bigint not null,
  completes bigint,
  method text,
  route text,
  path text,
  status integer,
  duration_ms bigint,
  request_id text,
  key_id varchar(64) collate "C",
  mac varchar(64) collate "C",
  constraint impersonation_actions_place unique (session_id, seq)
);

create index if not exists impersonation_actions_completes on impersonation_actions (session_id, completes, seq);

insert into impersonation_schema (version) values (5) on conflict do nothing;

create table if not exists impersonation_tokens (
  id varchar(255) collate "C" not null primary key,
  hash varchar(64) collate "C" not null,
  user_id varchar(255) collate "C" not null,
  user_org_id varchar(255) collate "C",
  name text not null,
  prefix text not null,
  scopes text not null,
  issued_by varchar(255) collate "C" not null,
  created_at bigint not null,
  expires_at bigint not null,
  last_used_at bigint,
  revoked_at bigint,
  revoked_by text,
  replaced_by varchar(255) collate "C",
  revision integer not null,
  constraint impersonation_tokens_hash unique (hash)
);

create index if not exists impersonation_tokens_newest on impersonation_tokens (created_at, id);

create index if not exists impersonation_tokens_user on impersonation_tokens (user_id, created_at, id);

create index if not exists impersonation_tokens_org on impersonation_tokens (user_org_id, created_at, id);

create index if not exists impersonation_tokens_issuer on impersonation_tokens (issued_by, created_at, id);

create index if not exists impersonation_tokens_revoked on impersonation_tokens (revoked_at);

create index if not exists impersonation_tokens_expired on impersonation_tokens (expires_at);

insert into impersonation_schema (version) values (6) on conflict do nothing;
