import type { GuardedStore } from '../stores/guarded.ts'
import type { Endings } from './ending.ts'

const most = 1000

/** Ends what an actor has open, and gives how many: tokens, too, for what they have handed to a program ends with their own login. */
export async function endFor(
  actorId: string,
  store: Pick<GuardedStore, 'listSessions'>,
  endings: Pick<Endings, 'revoke'>,
): Promise<number> {
  for (let ended = 0; ; ) {
    const active = await store.listSessions({ actorId, status: 'active' }, { limit: most })
    const results = await Promise.all(
      active.map((session) => endings.revoke(session, { reason: 'actor_logged_out' })),
    )
    const now = results.filter((result) => result?.changed).length
    ended += now
    if (active.length < most || now === 0) return ended
  }
}
