import { sealOf } from '../audit/seal.ts'
import { BrokenChain, createRetention, type Retention } from '../lifecycle/retention.ts'
import { keyVariables } from './chain-keys.ts'
import type { Tools } from './command.ts'
import { createRevoker } from './ending.ts'
import { Fault, UsageError } from './faults.ts'
import { count } from './output.ts'
import { sessionsOf } from './pages.ts'
import { sealingFor } from './sealing.ts'

/** For the help of what deletes. */
export const aboutKeys = `Where the servers have audit.key, it is needed here: in ${keyVariables.key}, its name in
${keyVariables.id} and older ones in ${keyVariables.old}.`

/**
 * Prunes and erases as the library does, by nobody in particular. Nothing is deleted that no sealed event
 * speaks of, so where events are sealed it wants the key.
 * @throws {Fault} where they could not be sealed
 */
export async function retentionFor(tools: Tools): Promise<Retention> {
  const { store, now } = tools
  const { keys, why } = await sealingFor(tools)
  if (why !== undefined) throw new Fault(`${why} Without a seal nothing is deleted.`)

  /** Sessions that have run out, as the servers would. */
  async function settle(): Promise<void> {
    const revoker = createRevoker(store, now, keys)
    for await (const session of sessionsOf(store, { status: 'active' })) {
      if (session.expiresAt <= now()) await revoker.revoke(session, null)
    }
    const unsealed = await revoker.settle()
    if (unsealed > 0) throw new Fault(`${count(unsealed, 'event')} could not be sealed.`)
  }

  return createRetention({
    store,
    chainKeys: keys,
    now,
    settle,
    append(event) {
      const marked = { ...event, details: { ...event.details, via: 'cli' } }
      return store.appendEvents([{ ...marked, ...(keys && { seal: sealOf(marked, keys) }) }])
    },
  })
}

/** What is deleted is gone, so somebody has to say that they mean it. */
export async function isMeant({ confirm, err }: Tools, yes: boolean, question: string) {
  if (yes) return true
  if (!confirm) throw new UsageError('Nobody is here to be asked whether this is meant: add --yes.')
  if (await confirm(`${question} That can’t be undone.`)) return true
  await err.write('Nothing was changed.\n')
  return false
}

/** Its own sentence, and not one of the database. */
export function asFault(error: unknown): never {
  throw error instanceof BrokenChain ? new Fault(error.message) : error
}
