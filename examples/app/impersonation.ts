import { createImpersonation } from 'onbehalf'
import { sqliteStore } from 'onbehalf/sqlite'
import { findUser } from './users.ts'

/** The one file that knows the policy: who may act as whom, and what nobody may do meanwhile. */
export const impersonation = createImpersonation({
  store: sqliteStore({ file: process.env.IMPERSONATION_DB ?? 'impersonation.db' }),
  findUser,
  can: (user) => user.role === 'superuser',
  // `describe` is left out: our users have `id`, `email`, `name`, `orgId`, `role` and `active` already.
  // `guardrails` are left out: the shipped catalogue guards writes to paths such as /account/password.
})
