import { checkApiTokens } from './api-tokens/option.ts'
import { checkAudit } from './audit-option.ts'
import { isRecord, noOthers, positive, want, wantSection } from './checks.ts'
import { notificationKinds } from './notify/notification.ts'
import type { ApprovalOptions, ImpersonationOptions } from './options.ts'
import { outboxVerbs } from './stores/outbox.ts'
import { requestVerbs } from './stores/requests.ts'
import type { Store } from './stores/store.ts'
import { checkImpersonationTokens } from './tokens/option.ts'
import { accessLevels } from './types.ts'

/** More than that can't be kept with a request. */
const mostApprovers = 20

/**
 * Checks the groups of options that each switch a feature on, and that the store can carry it.
 * @throws {TypeError} naming the option in quotes and what it wants
 */
export function checkGroups<User extends object>(
  options: ImpersonationOptions<User>,
  store: Store,
) {
  return {
    breakGlass: checkBreakGlass<User>(options.breakGlass, store),
    approvals: checkApprovals(options.approvals, store),
    sandbox: checkSandbox<User>(options.sandbox, store),
    notifier: checkNotifier<User>(options.notifier, store),
    ...checkAudit(options.audit, store),
    impersonationTokens:
      options.impersonationTokens && checkImpersonationTokens(options.impersonationTokens),
    apiTokens: checkApiTokens<User>(options.apiTokens, store),
  }
}

type Group<
  User extends object,
  Name extends keyof ImpersonationOptions<User>,
> = ImpersonationOptions<User>[Name]

function checkBreakGlass<User extends object>(group: Group<User, 'breakGlass'>, store: Store) {
  if (group === undefined) return undefined
  want('breakGlass', isRecord(group), 'an object { verifySecondFactor, samePerson? }')
  noOthers('breakGlass.', group, ['verifySecondFactor', 'samePerson'])
  const { verifySecondFactor, samePerson } = group
  want(
    'breakGlass.verifySecondFactor',
    typeof verifySecondFactor === 'function',
    "a function (user, code) => boolean, such as totp(…) from 'onbehalf/totp'",
  )
  want(
    'breakGlass.samePerson',
    samePerson === undefined || typeof samePerson === 'function',
    'a function (a, b) => boolean',
  )
  wantSection('breakGlass', store, 'requests', requestVerbs)
  return { verifySecondFactor, samePerson }
}

function checkApprovals(group: Group<object, 'approvals'>, store: Store) {
  if (group === undefined) return undefined
  want('approvals', isRecord(group), 'an object { quorum?, roles?, levels? }')
  noOthers('approvals.', group, ['quorum', 'roles', 'levels'])
  const { roles, levels = accessLevels } = group as ApprovalOptions
  const quorum = positive('approvals.quorum', (group as ApprovalOptions).quorum, 1)
  want('approvals.quorum', quorum <= mostApprovers, `at most ${mostApprovers}`)
  want(
    'approvals.roles',
    roles === undefined ||
      (Array.isArray(roles) && roles.length > 0 && roles.every((one) => typeof one === 'string')),
    'an array of roles',
  )
  want(
    'approvals.levels',
    Array.isArray(levels) &&
      levels.length > 0 &&
      levels.every((level) => accessLevels.includes(level)),
    `an array of ${accessLevels.join(', ')}`,
  )
  wantSection('approvals', store, 'requests', requestVerbs)
  return { quorum, roles, levels }
}

function checkSandbox<User extends object>(group: Group<User, 'sandbox'>, store: Store) {
  if (group === undefined) return undefined
  want('sandbox', isRecord(group), 'an object { provision, dispose, orgId? }')
  noOthers('sandbox.', group, ['provision', 'dispose', 'orgId'])
  const { provision, dispose, orgId } = group
  want('sandbox.provision', typeof provision === 'function', 'a function (role, actor) => user')
  want('sandbox.dispose', typeof dispose === 'function', 'a function (user) => void')
  want('sandbox.orgId', orgId === undefined || typeof orgId === 'string', 'a string')
  wantSection('sandbox', store, 'outbox', outboxVerbs)
  return { provision, dispose, orgId }
}

function checkNotifier<User extends object>(group: Group<User, 'notifier'>, store: Store) {
  if (group === undefined) return undefined
  want('notifier', isRecord(group), 'an object { channels, send, words? }')
  noOthers('notifier.', group, ['channels', 'send', 'words'])
  const { channels, send, words = {} } = group
  want('notifier.channels', typeof channels === 'function', 'a function (user, kind) => [{ … }]')
  want('notifier.send', typeof send === 'function', 'a function (notification) => Promise')
  want('notifier.words', isRecord(words), 'an object of functions by kind of notification')
  noOthers('notifier.words.', words, notificationKinds)
  for (const [kind, write] of Object.entries(words))
    want(`notifier.words.${kind}`, typeof write === 'function', 'a function (told) => words')
  wantSection('notifier', store, 'outbox', outboxVerbs)
  return { channels, send, words }
}
