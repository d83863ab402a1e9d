import { type Format, type FormatName, formatOf } from '../audit/formats.ts'
import {
  type Checkpoint,
  type Verification,
  type VerifyOptions,
  verifyChain,
} from '../audit/verify.ts'
import { ImpersonationError } from '../errors.ts'
import type { People } from '../people.ts'
import type { Settings } from '../settings.ts'
import type { GuardedStore } from '../stores/guarded.ts'
import type { EventFilter, Page, Place } from '../stores/store.ts'
import type { AuditEvent, TrailAction } from '../types.ts'
import {
  createRetention,
  type ErasedTotals,
  type EraseOptions,
  type PrunedTotals,
  type PruneOptions,
} from './retention.ts'
import type { Caller } from './start.ts'

/** What is on record, for those who may read it. */
export interface Audit<User> {
  /** Events that match, newest first. @throws {ImpersonationError} not_allowed */
  list(caller: Caller<User>, filter: EventFilter, page: Page): Promise<AuditEvent[]>
  /**
   * All events that match, newest first, written down as `format` says: the pieces of one file. Read page by
   * page while it is consumed, so that it takes the memory of one page.
   * @param source who speaks, for CloudEvents: a URI reference
   * @throws {ImpersonationError} not_allowed: before the first piece
   */
  export(
    caller: Caller<User>,
    filter: EventFilter,
    format: FormatName,
    source: string,
  ): Promise<Exported>
  /**
   * What was done under a session, in that order: those with `seq > after`. Empty where there is no trail.
   * @throws {ImpersonationError} not_allowed, session_not_found
   */
  actions(
    caller: Caller<User>,
    sessionId: string,
    page: { readonly after: number; readonly limit: number },
  ): Promise<TrailAction[]>
  /**
   * Walks the chain and names the first link or event that does not hold. For code of the host: nobody is
   * asked who calls. Reads page by page.
   * @throws {TypeError} without `audit.key`
   */
  verify(options?: VerifyOptions): Promise<Verification>
  /** Where the chain ends now, to be kept elsewhere; null while it is empty. @throws {TypeError} without `audit.key` */
  checkpoint(): Promise<Checkpoint | null>
  /**
   * Deletes sessions that were over before an instant, with their trails and events, and what else is older
   * than it and closed. First ends the sessions that have run out, verifies the chain, and stores the sealed
   * event `audit.pruned`, by which `verify` knows what may be gone. What a crash leaves the next call finishes.
   * For code of the host: nobody is asked who calls.
   * @throws {TypeError} for a `before` less than 24 hours ago, without the section `retention` of the store, or
   * where events are sealed and there is no `audit.key`
   * @throws {Error} where the chain does not hold: nothing is pruned then
   */
  prune(options: PruneOptions): Promise<PrunedTotals>
  /**
   * Erases what is on record about a person beside their id, as an actor and as a target: reasons, notes,
   * addresses, browsers, and what messages to them said. First stores the sealed event `audit.erased`. What
   * is still open stays: end their sessions first, or call it again. For code of the host: nobody is asked
   * who calls.
   * @throws {TypeError} without the section `retention` of the store, or where events are sealed and there is
   * no `audit.key`
   */
  erase(userId: string, options?: EraseOptions): Promise<ErasedTotals>
}

export interface Exported {
  readonly format: Format
  readonly pieces: AsyncIterable<string>
}

const pageSize = 200

export function createAudit<User extends object>(parts: {
  readonly settings: Settings<User>
  readonly store: GuardedStore
  readonly people: People<User>
  readonly reap: () => Promise<number>
}): Audit<User> {
  const { settings, store, people, reap } = parts
  const retention = createRetention({
    store,
    chainKeys: settings.chainKeys,
    now: settings.now,
    settle: reap,
    append: (event) => store.appendEvents([event]),
  })

  function chained() {
    const { chainKeys } = settings
    if (chainKeys && store.chain) return { chain: store.chain, chainKeys }
    throw new TypeError('impersonation.audit needs createImpersonation to be given an "audit.key"')
  }

  async function check({ user }: Caller<User>): Promise<void> {
    if ((await people.may(user, 'read_audit')) !== true) throw new ImpersonationError('not_allowed')
  }

  async function* pages(filter: EventFilter): AsyncGenerator<AuditEvent[]> {
    let before: Place | undefined
    do {
      const page = await store.listEvents(filter, { limit: pageSize, before })
      if (page.length > 0) yield page
      const last = page.length === pageSize ? page.at(-1) : undefined
      before = last && { at: last.at, id: last.id }
    } while (before)
  }

  async function* pieces({ head, line }: Format, filter: EventFilter): AsyncGenerator<string> {
    if (head !== '') yield head
    for await (const events of pages(filter)) yield events.map(line).join('')
  }

  return {
    async list(caller, filter, page) {
      await check(caller)
      return store.listEvents(filter, page)
    },
    async export(caller, filter, name, source) {
      await check(caller)
      const format = formatOf(name, source)
      return { format, pieces: pieces(format, filter) }
    },
    async actions(caller, sessionId, { after, limit }) {
      await check(caller)
      if (!(await store.readSession(sessionId))) throw new ImpersonationError('session_not_found')
      return (await store.trail?.listActions(sessionId, after, limit)) ?? []
    },
    async verify(options) {
      const { chain, chainKeys } = chained()
      return verifyChain(chain, chainKeys, options, store.trail)
    },
    async checkpoint() {
      const head = await chained().chain.readHead()
      return head && { seq: head.seq, mac: head.mac, at: settings.now() }
    },
    ...retention,
  }
}
