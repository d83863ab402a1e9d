import type { Dialect } from './dialect.ts'

/**
 * The tables, written once. The statements may be repeated: MySQL has no transaction around them,
 * so a migration that was cut off is finished by running it again.
 */
interface Table {
  readonly name: string
  /** The version of the schema that brought it. */
  readonly since: number
  readonly columns: Readonly<Record<string, ColumnType>>
  readonly constraints?: (dialect: Dialect) => readonly string[]
  readonly indexes: Readonly<Record<string, readonly string[]>>
}

type ColumnType = keyof ReturnType<typeof columnTypes>

const tables: readonly Table[] = [
  {
    name: 'impersonation_sessions',
    since: 1,
    columns: {
      id: 'primaryId',
      actor_id: 'id',
      actor_org_id: 'optionalId',
      target_user_id: 'id',
      target_org_id: 'optionalId',
      target_role: 'optionalText',
      access_level: 'word',
      reason: 'optionalText',
      ticket: 'optionalText',
      grant_id: 'optionalId',
      break_glass: 'flag',
      transport: 'word',
      client_id: 'optionalText',
      ip_address: 'optionalText',
      user_agent: 'optionalText',
      created_at: 'instant',
      expires_at: 'instant',
      ended_at: 'optionalInstant',
      ended_reason: 'optionalWord',
      ended_note: 'optionalText',
      ended_by: 'optionalText',
      status: 'word',
      active_actor_key: 'key',
      active_target_key: 'key',
      active_grant_key: 'key',
      lapse_actor_key: 'key',
    },
    constraints: (dialect) => [
      `constraint impersonation_sessions_two_people check (${
        // As bytes, or MySQL would take `root ` for `root`.
        dialect === 'mysql'
          ? 'cast(actor_id as binary) <> cast(target_user_id as binary)'
          : 'actor_id <> target_user_id'
      })`,
      ...['actor', 'target', 'grant'].map((what) => {
        const column = `active_${what}_key`
        return `constraint impersonation_sessions_${column} unique (${column})`
      }),
    ],
    indexes: {
      lapse: ['lapse_actor_key', 'ended_at', 'id'],
      newest: ['created_at', 'id'],
      actor: ['actor_id', 'created_at', 'id'],
      target: ['target_user_id', 'created_at', 'id'],
      org: ['target_org_id', 'created_at', 'id'],
      status: ['status', 'created_at', 'id'],
    },
  },
  {
    name: 'impersonation_events',
    since: 1,
    columns: {
      id: 'primaryId',
      at: 'instant',
      action: 'word',
      outcome: 'word',
      code: 'optionalWord',
      actor_id: 'optionalId',
      target_user_id: 'optionalId',
      actor_org_id: 'optionalId',
      target_org_id: 'optionalId',
      session_id: 'optionalId',
      grant_id: 'optionalId',
      reason: 'optionalText',
      ip_address: 'optionalText',
      user_agent: 'optionalText',
      client_id: 'optionalText',
      request_id: 'optionalText',
      details: 'text',
    },
    indexes: {
      newest: ['at', 'id'],
      session: ['session_id', 'at', 'id'],
      actor: ['actor_id', 'at', 'id'],
      target: ['target_user_id', 'at', 'id'],
    },
  },
  { name: 'impersonation_schema', since: 1, columns: { version: 'primaryNumber' }, indexes: {} },
  {
    name: 'impersonation_grants',
    since: 2,
    columns: {
      id: 'primaryId',
      actor_id: 'id',
      actor_org_id: 'optionalId',
      target_user_id: 'id',
      target_org_id: 'optionalId',
      access_level: 'word',
      requested_access_level: 'word',
      reason: 'optionalText',
      ticket: 'optionalText',
      duration_ms: 'duration',
      status: 'word',
      created_at: 'instant',
      decided_at: 'optionalInstant',
      expires_at: 'instant',
      revision: 'count',
    },
    indexes: {
      newest: ['created_at', 'id'],
      actor: ['actor_id', 'created_at', 'id'],
      target: ['target_user_id', 'created_at', 'id'],
      // For whoever looks for those whose time is up.
      due: ['status', 'expires_at'],
    },
  },
  {
    name: 'impersonation_requests',
    since: 3,
    columns: {
      id: 'primaryId',
      kind: 'word',
      actor_id: 'id',
      actor_org_id: 'optionalId',
      target_user_id: 'id',
      target_org_id: 'optionalId',
      access_level: 'word',
      reason: 'optionalText',
      ticket: 'optionalText',
      status: 'word',
      approved_by: 'text',
      denied_by: 'optionalId',
      attempts: 'count',
      created_at: 'instant',
      expires_at: 'instant',
      session_id: 'optionalId',
      revision: 'count',
    },
    indexes: {
      newest: ['created_at', 'id'],
      actor: ['actor_id', 'created_at', 'id'],
      target: ['target_user_id', 'created_at', 'id'],
      due: ['status', 'expires_at'],
    },
  },
  {
    name: 'impersonation_codes',
    since: 3,
    columns: { mark: 'primaryId', at: 'instant' },
    indexes: {},
  },
  {
    name: 'impersonation_deliveries',
    since: 3,
    columns: {
      id: 'primaryId',
      topic: 'word',
      user_id: 'id',
      channel: 'optionalText',
      payload: 'text',
      status: 'word',
      attempts: 'count',
      created_at: 'instant',
      due_at: 'instant',
      settled_at: 'optionalInstant',
      error: 'optionalText',
      revision: 'count',
    },
    indexes: {
      // In the order in which those of a topic are handed out.
      due: ['status', 'topic', 'due_at', 'id'],
      newest: ['created_at', 'id'],
      user: ['user_id', 'created_at', 'id'],
    },
  },
  {
    name: 'impersonation_links',
    since: 4,
    columns: {
      seq: 'primaryBigNumber',
      event_id: 'id',
      key_id: 'word',
      digest: 'word',
      personal_digest: 'word',
      salt: 'optionalWord',
      mac: 'word',
    },
    constraints: () => ['constraint impersonation_links_event unique (event_id)'],
    indexes: {},
  },
  {
    name: 'impersonation_actions',
    since: 5,
    columns: {
      session_id: 'exactId',
      seq: 'bigCount',
      at: 'instant',
      completes: 'optionalBigCount',
      method: 'optionalText',
      route: 'optionalText',
      path: 'optionalText',
      status: 'optionalCount',
      duration_ms: 'optionalDuration',
      request_id: 'optionalText',
      key_id: 'optionalWord',
      mac: 'optionalWord',
    },
    // By a name, and so no primary key: MySQL calls every one of those PRIMARY, and this one decides races.
    constraints: () => ['constraint impersonation_actions_place unique (session_id, seq)'],
    indexes: { completes: ['session_id', 'completes', 'seq'] },
  },
  {
    name: 'impersonation_tokens',
    since: 6,
    columns: {
      id: 'primaryId',
      hash: 'word',
      user_id: 'id',
      user_org_id: 'optionalId',
      name: 'text',
      prefix: 'text',
      scopes: 'text',
      issued_by: 'id',
      created_at: 'instant',
      expires_at: 'instant',
      last_used_at: 'optionalInstant',
      revoked_at: 'optionalInstant',
      revoked_by: 'optionalText',
      replaced_by: 'optionalId',
      revision: 'count',
    },
    constraints: () => ['constraint impersonation_tokens_hash unique (hash)'],
    indexes: {
      newest: ['created_at', 'id'],
      user: ['user_id', 'created_at', 'id'],
      org: ['user_org_id', 'created_at', 'id'],
      issuer: ['issued_by', 'created_at', 'id'],
      // For whoever looks for those that nobody can use any more.
      revoked: ['revoked_at'],
      expired: ['expires_at'],
    },
  },
]

/**
 * Ids and words are compared and ordered by their bytes: by default in SQLite, by a table option
 * in MySQL.
 */
function columnTypes(dialect: Dialect) {
  const bytes = dialect === 'postgres' ? ' collate "C"' : ''
  return {
    primaryId: `varchar(255)${bytes} not null primary key`,
    primaryNumber: 'integer not null primary key',
    primaryBigNumber: 'bigint not null primary key',
    id: `varchar(255)${bytes} not null`,
    optionalId: `varchar(255)${bytes}`,
    /**
     * An id where `a` and `a ` are two, also in a unique key and in an order. MySQL pads every text that it
     * compares, and no bytes: so there it is those, 4 to a character at most. Compare it as it is (not by
     * `exactly`, which counts characters), and read it as `convert(… using utf8mb4)`.
     */
    exactId: dialect === 'mysql' ? 'varbinary(1020) not null' : `varchar(255)${bytes} not null`,
    /** An id and the character that ends a key. */
    key: `varchar(256)${bytes}`,
    word: `varchar(64)${bytes} not null`,
    optionalWord: `varchar(64)${bytes}`,
    text: 'text not null',
    optionalText: 'text',
    instant: 'bigint not null',
    optionalInstant: 'bigint',
    duration: 'bigint not null',
    optionalDuration: 'bigint',
    count: 'integer not null',
    optionalCount: 'integer',
    bigCount: 'bigint not null',
    optionalBigCount: 'bigint',
    flag: 'smallint not null',
  }
}

/** What a version adds to the one before it. Its row comes last, and so says that all of it is there. */
export function createStatements(dialect: Dialect, version: number): string[] {
  return [
    ...tablesOf(version).flatMap((table) => createTable(table, dialect)),
    dialect === 'mysql'
      ? `insert ignore into impersonation_schema (version) values (${version})`
      : `insert into impersonation_schema (version) values (${version}) on conflict do nothing`,
  ]
}

/** Back to the version before. */
export function dropStatements(version: number): string[] {
  const drops = tablesOf(version).map(({ name }) => `drop table if exists ${name}`)
  // First, so that no row says of a table that it is there when it is not.
  if (version > 1) drops.push(`delete from impersonation_schema where version = ${version}`)
  return drops.reverse()
}

const tablesOf = (version: number) => tables.filter(({ since }) => since === version)

function createTable(table: Table, dialect: Dialect): string[] {
  const types = columnTypes(dialect)
  const indexes = Object.entries(table.indexes).map(
    ([suffix, columns]) => [`${table.name}_${suffix}`, columns.join(', ')] as const,
  )
  // MySQL has no `create index if not exists`.
  const inline = dialect === 'mysql'
  const members = [
    ...Object.entries(table.columns).map(([name, type]) => `${name} ${types[type]}`),
    ...(table.constraints?.(dialect) ?? []),
    ...(inline ? indexes.map(([name, columns]) => `key ${name} (${columns})`) : []),
  ]
  const options = inline ? ' engine = InnoDB default character set utf8mb4 collate utf8mb4_bin' : ''
  return [
    `create table if not exists ${table.name} (\n  ${members.join(',\n  ')}\n)${options}`,
    ...(inline
      ? []
      : indexes.map(
          ([name, columns]) => `create index if not exists ${name} on ${table.name} (${columns})`,
        )),
  ]
}
