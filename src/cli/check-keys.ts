import { type SqlBool, sql } from 'kysely'
import type { Check } from './checks.ts'
import type { Tools } from './command.ts'
import { count } from './output.ts'

const shown = 3

/**
 * Whether the keys that let nobody have two sessions at once say what the rows say. They do unless
 * somebody wrote to the table by hand.
 */
export async function keys({ db, dialect }: Tools): Promise<Omit<Check, 'name'>> {
  const keyOf = (column: string) =>
    dialect === 'mysql' ? sql`concat(${sql.ref(column)}, '|')` : sql`${sql.ref(column)} || '|'`
  const unlocked = sql<SqlBool>`status = 'active' and (
    (transport = 'session' and (active_actor_key is null or active_actor_key <> ${keyOf('actor_id')}))
    or (transport <> 'session' and active_actor_key is not null)
    or (active_target_key is not null and active_target_key <> ${keyOf('target_user_id')})
    or (grant_id is null and active_grant_key is not null)
    or (grant_id is not null and (active_grant_key is null or active_grant_key <> ${keyOf('grant_id')})))`
  const locked = sql<SqlBool>`status <> 'active' and (active_actor_key is not null
    or active_target_key is not null or active_grant_key is not null)`

  async function idsWhere(condition: typeof locked) {
    const query = db.selectFrom('impersonation_sessions').where(condition)
    const found = await query.select(({ fn }) => fn.countAll().as('n')).executeTakeFirst()
    const some = await query.select('id').orderBy('id').limit(shown).execute()
    const ids = some.map(({ id }) => id).join(', ')
    const n = Number(found?.n)
    return { n, named: `${count(n, 'session')} (${ids}${n > shown ? ', …' : ''})` }
  }

  const open = await idsWhere(unlocked)
  const stuck = await idsWhere(locked)
  if (open.n + stuck.n === 0) return { status: 'ok', found: 'every session holds what it should.' }
  return {
    status: 'fail',
    found: [
      ...(open.n > 0 ? [`${open.named} active without the keys of their own.`] : []),
      ...(stuck.n > 0 ? [`${stuck.named} ended, and still in the way of others.`] : []),
    ].join(' '),
    todo: [
      ...(open.n > 0 ? ['End those that are active by onbehalf revoke.'] : []),
      ...(stuck.n > 0
        ? [
            "Free what has ended: update impersonation_sessions set active_actor_key = null, active_target_key = null, active_grant_key = null where status <> 'active'.",
          ]
        : []),
    ].join(' '),
  }
}
