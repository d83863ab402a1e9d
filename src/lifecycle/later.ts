import type { ApiTokens } from './api-tokens.ts'
import type { Approvals } from './approvals.ts'
import type { Audit } from './audit.ts'
import type { BreakGlass } from './break-glass.ts'
import type { Grants } from './grants.ts'
import type { Sessions } from './sessions.ts'
import type { TestSessions } from './test-sessions.ts'

/** Its names, all of them: a record, so that forgetting one does not compile. */
type Names<T> = Readonly<Record<keyof T, true>>

/** An object of asynchronous functions that is loaded when the first of them is called. */
export function later<T extends object>(names: Names<T>, load: () => Promise<T>): T {
  type Verb = (...args: unknown[]) => unknown
  const verb =
    (name: keyof T) =>
    async (...args: unknown[]) =>
      ((await load())[name] as Verb)(...args)
  const verbs = Object.keys(names).map((name) => [name, verb(name as keyof T)])
  return Object.freeze(Object.fromEntries(verbs)) as T
}

export const sessionVerbs: Names<Sessions<never>> = {
  start: true,
  stop: true,
  status: true,
  extend: true,
  list: true,
  get: true,
  revoke: true,
}

export const grantVerbs: Names<Grants<never>> = {
  request: true,
  list: true,
  withdraw: true,
  mine: true,
  approve: true,
  deny: true,
  revoke: true,
}

export const breakGlassVerbs: Names<BreakGlass<never>> = {
  open: true,
  confirm: true,
  list: true,
  waiting: true,
}

export const testSessionVerbs: Names<TestSessions<never>> = {
  start: true,
}

export const auditVerbs: Names<Audit<never>> = {
  list: true,
  export: true,
  actions: true,
  verify: true,
  checkpoint: true,
  prune: true,
  erase: true,
}

export const apiTokenVerbs: Names<ApiTokens<never>> = {
  issue: true,
  list: true,
  revoke: true,
  rotate: true,
  rotateOwn: true,
  users: true,
  mine: true,
  revokeMine: true,
}

export const approvalVerbs: Names<Approvals<never>> = {
  request: true,
  list: true,
  waiting: true,
  approve: true,
  deny: true,
  withdraw: true,
}
