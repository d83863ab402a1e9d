import { impersonation } from './impersonation.ts'
import { Problem, signedIn } from './problems.ts'
import { allUsers, type User } from './users.ts'

/** Whom the application takes the caller for, and who is really there. */
export function whoAmI(user: User | null | undefined) {
  const { id, name, orgId, role } = signedIn(user)
  return {
    id,
    name,
    org_id: orgId,
    role,
    impersonated_by: impersonation.current()?.actor.id ?? null,
  }
}

/** Guarded by its path alone: the shipped catalogue knows the word `password`. */
export function changePassword(user: User | null | undefined) {
  return { changed: signedIn(user).id }
}

/** Its path says nothing, so the guard stands next to what must never happen. */
export function upgradePlan(user: User | null | undefined) {
  const { orgId } = signedIn(user)
  impersonation.guard('payment')
  return { org_id: orgId, plan: 'pro' }
}

/** For superusers: here an operator looks for the user to help. */
export function listUsers(user: User | null | undefined) {
  if (signedIn(user).role !== 'superuser') throw new Problem(403, 'For superusers only')
  return {
    items: allUsers().map(({ id, email, orgId, role }) => ({ id, email, org_id: orgId, role })),
  }
}
