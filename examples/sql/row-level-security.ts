import type { ImpersonationEngine } from 'onbehalf'
import type { Pool, PoolClient } from 'pg'

/**
 * Runs work in a transaction that tells Postgres who is behind it. The settings end with the
 * transaction, so the next one on the same connection starts without; under `view` it is read-only, and no
 * function called in it can write either.
 */
export async function transaction<User extends object, T>(
  pool: Pool,
  impersonation: ImpersonationEngine<User>,
  work: (client: PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    await client.query(impersonation.sqlSettings())
    const result = await work(client)
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}
