import { CompiledQuery, sql } from 'kysely'
import type { ApiToken } from '../../types.ts'
import type { TokenChange, TokenSection, TokenUse } from '../tokens.ts'
import { batches } from './batches.ts'
import type { Trx } from './changes.ts'
import type { Dialect } from './dialect.ts'
import { insertEvents } from './events.ts'
import type { SectionTools } from './locks.ts'
import { exactly, tokenQuery, tokensQuery } from './queries.ts'
import { retried } from './retry.ts'
import { fromInstant, isStorable, orNull, toInstant } from './rows.ts'
import type { TokenRow } from './schema.ts'
import { fromTokenRow, isHash, toHash, tokenColumns, toTokenRow } from './token-rows.ts'

interface TokenTools extends SectionTools {
  /** Tells other processes of people whose tokens changed. */
  readonly tell: (trx: Trx, userIds: Iterable<string>) => Promise<void>
}

export function tokenSection({ tables, dialect, unit, tell }: TokenTools): TokenSection {
  // Compiled once: this is the query that requests wait for.
  const byHash = tokenQuery(tables).compile().sql

  return {
    createToken: (token, hash, events, replaces) =>
      unit(async (trx) => {
        // First, so that of those that come in place of the same one the others wait here.
        if (replaces && !(await swapToken(trx, dialect, replaces))) return 'changed_since'
        const row = { ...toTokenRow(token), hash: toHash(hash) }
        await unspoken(hash, trx.insertInto('impersonation_tokens').values(row).execute())
        await insertEvents(trx, dialect, events)
        await tell(trx, [token.userId, ...(replaces ? [replaces.after.userId] : [])])
        return 'created'
      }),

    readToken: (tokenId) => retried(() => tokenById(tokenId)),

    async findToken(hash) {
      if (!isHash(hash)) return null
      const query = CompiledQuery.raw(byHash, [hash])
      const { rows } = await retried(() => unspoken(hash, tables.executeQuery<TokenRow>(query)))
      return rows[0] ? fromTokenRow(rows[0]) : null
    },

    async listTokens(filter, page) {
      const query = tokensQuery(tables, dialect, filter, page)
      return query ? (await retried(() => query.execute())).map(fromTokenRow) : []
    },

    changeToken: (change, events) =>
      unit(async (trx) => {
        if (!(await swapToken(trx, dialect, change))) return false
        await insertEvents(trx, dialect, events)
        await tell(trx, [change.after.userId])
        return true
      }),

    async touchTokens(uses, everyMs) {
      const byId = [...Map.groupBy(uses, ({ id }) => id)].filter(([id]) => isStorable(id))
      for (const some of batches(byId)) {
        await unit((trx) => touch(trx, dialect, new Map(some), everyMs))
      }
    },
  }

  async function tokenById(tokenId: string): Promise<ApiToken | null> {
    if (!isStorable(tokenId)) return null
    const row = await tables
      .selectFrom('impersonation_tokens')
      .select(tokenColumns)
      .where(exactly(dialect, 'id', tokenId))
      .executeTakeFirst()
    return row ? fromTokenRow(row) : null
  }
}

/** Drivers put what a statement was about into its error, and errors go into logs. */
async function unspoken<T>(hash: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    for (const name of Object.getOwnPropertyNames(error)) {
      const value: unknown = Reflect.get(error as object, name)
      if (typeof value !== 'string' || !value.includes(hash)) continue
      Reflect.set(error as object, name, value.replaceAll(hash, '…'))
    }
    throw error
  }
}

/** Gives whether the token still had that revision, and so was changed. */
async function swapToken(
  trx: Trx,
  dialect: Dialect,
  { from, after }: TokenChange,
): Promise<boolean> {
  if (!isStorable(after.id)) return false
  // What others have kept of its use since it was read is not taken back.
  const { id, last_used_at: _, ...columns } = toTokenRow(after)
  const { numUpdatedRows } = await trx
    .updateTable('impersonation_tokens')
    .set(columns)
    .where(exactly(dialect, 'id', id))
    .where('revision', '=', from)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

async function touch(
  trx: Trx,
  dialect: Dialect,
  uses: ReadonlyMap<string, readonly TokenUse[]>,
  everyMs: number,
): Promise<void> {
  const latest = Math.max(...[...uses.values()].flat().map(({ at }) => toInstant(at)))
  const rows = await trx
    .selectFrom('impersonation_tokens')
    .select(['id', 'last_used_at'])
    .where('id', 'in', [...uses.keys()])
    // Those that can't be due are not even locked.
    .where(({ or, eb }) =>
      or([eb('last_used_at', 'is', null), eb('last_used_at', '<=', latest - everyMs)]),
    )
    // In one order, whoever has used them: so nobody waits for somebody who waits for them.
    .orderBy('id')
    // SQLite has no such lock, and no need of it: the transaction holds the only one there is.
    .$if(dialect !== 'sqlite', (query) => query.forUpdate())
    .execute()
  const due = rows.flatMap(({ id, last_used_at }) => {
    const before = orNull(last_used_at, fromInstant)
    // MySQL finds the row of `id` for `id ` too: nobody has used that one.
    const at = lastOf(before, uses.get(id) ?? [], everyMs)
    return at === null || at === before ? [] : [{ id, at }]
  })
  if (due.length === 0) return
  const type = sql.raw(dialect === 'mysql' ? 'signed' : 'bigint')
  const cases = due.map(({ id, at }) => sql`when ${id} then cast(${at} as ${type})`)
  await trx
    .updateTable('impersonation_tokens')
    .set({ last_used_at: sql<number>`case id ${sql.join(cases, sql` `)} end` })
    .where(
      'id',
      'in',
      due.map(({ id }) => id),
    )
    .execute()
}

/** When it was last used, as it is kept after these uses. */
function lastOf(before: number | null, uses: readonly TokenUse[], everyMs: number): number | null {
  return uses.reduce((last, { at }) => (last === null || last <= at - everyMs ? at : last), before)
}
