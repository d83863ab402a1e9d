import type { SessionFilter } from '../stores/store.ts'
import type { Given, Options } from './args.ts'

export const peopleOptions: Options = {
  actor: { value: 'id', help: 'of this actor: who is really there' },
  target: { value: 'id', help: 'of this target: whom they act as' },
  org: { value: 'id', help: 'of targets of this organisation' },
}

/** Whose sessions are meant. */
export function peopleOf(given: Given): SessionFilter {
  const [actorId, targetUserId, orgId] = ['actor', 'target', 'org'].map((name) => given.text(name))
  return {
    ...(actorId !== undefined && { actorId }),
    ...(targetUserId !== undefined && { targetUserId }),
    ...(orgId !== undefined && { orgId }),
  }
}
