import { recordEvent } from '../audit/events.ts'
import type { ChainKeys } from '../audit/seal.ts'
import { type BadLink, walkChain } from '../audit/verify.ts'
import type { ChainSection } from '../stores/chain.ts'
import type { RetentionSection } from '../stores/retention.ts'
import type { Store } from '../stores/store.ts'
import type { AuditEvent } from '../types.ts'
import { emptyUndelivered } from './undelivered.ts'

/** What must not be kept for ever. */
export interface Retention {
  prune(options: PruneOptions): Promise<PrunedTotals>
  erase(userId: string, options?: EraseOptions): Promise<ErasedTotals>
}

export interface PruneOptions {
  /** What is over before this instant goes: ms since the epoch, at least 24 hours ago. */
  readonly before: number
  /** Told after each unit of work, with what is gone so far. */
  readonly onProgress?: (soFar: PrunedTotals) => void
}

export interface PrunedTotals {
  readonly sessions: number
  readonly events: number
}

export interface EraseOptions {
  /** Told after each unit of work, with what was blanked so far. */
  readonly onProgress?: (soFar: ErasedTotals) => void
}

export interface ErasedTotals {
  /** How many rows, of all kinds. */
  readonly rows: number
}

interface Parts {
  readonly store: {
    readonly chain?: Store['chain'] | undefined
    readonly retention?: Store['retention'] | undefined
    readonly outbox?: Store['outbox'] | undefined
    readonly trail?: Store['trail'] | undefined
  }
  readonly chainKeys?: ChainKeys | undefined
  readonly now: () => number
  /** Ends the sessions that have run out: later they would end in the past, behind what was surveyed. */
  readonly settle: () => Promise<unknown>
  /** Stores an event, sealed where there are keys. */
  readonly append: (event: AuditEvent) => Promise<void>
}

/** What would be lost with the rest could not be told from it afterwards. */
export class BrokenChain extends Error {
  override readonly name = 'BrokenChain'
  constructor({ problem, seq }: BadLink) {
    super(
      `The chain of audit events does not hold (${problem} at link ${seq}), and nothing was pruned: ` +
        'that would make whatever was done to it look right. Verify it, and see to that first.',
    )
  }
}

interface Chained {
  readonly chain: ChainSection
  readonly chainKeys: ChainKeys
}

const dayMs = 24 * 60 * 60 * 1000
/** Rows of each kind in one unit. */
const atOnce = 1000

/**
 * The event that allows it always comes first: whatever becomes of the process, nothing is gone that the
 * chain does not speak of.
 */
export function createRetention(parts: Parts): Retention {
  const { store, chainKeys, now, settle, append } = parts

  function sectionFor(verb: string): RetentionSection {
    if (store.retention) return store.retention
    throw new TypeError(
      `impersonation.audit.${verb} needs a store with the section "retention"; yours lacks it`,
    )
  }

  /** Null where nothing is chained. */
  async function chained(verb: string): Promise<Chained | null> {
    const { chain } = store
    if (chain && chainKeys) return { chain, chainKeys }
    // What is not sealed allows nothing: all that is deleted would look like tampering.
    if ((await chain?.readHead()) == null) return null
    throw new TypeError(
      `impersonation.audit.${verb} needs the key of the chain of audit events: the option "audit.key"`,
    )
  }

  async function holding({ chain, chainKeys }: Chained) {
    const { verification, allowances } = await walkChain(chain, chainKeys, {}, store.trail)
    const { firstBad } = verification
    if (!firstBad) return allowances.pruned
    throw new BrokenChain(firstBad)
  }

  /** How far a pruning may go, as its event says it. */
  async function survey(section: RetentionSection, sealed: Chained | null, asked: number) {
    if (!sealed) return { before: asked, up_to: null, kept: 0, began: null }
    const pruned = await holding(sealed)
    // What an earlier one has announced counts as gone, also where another process is still at it.
    const before = Math.max(asked, pruned.before ?? asked)
    const { upTo, kept } = await section.surveyChain(before, pruned.upTo)
    // Again: what was removed before it was counted would never be missed.
    await holding(sealed)
    const began = Number.isFinite(pruned.began) ? pruned.began : null
    return { before, up_to: upTo, kept, began }
  }

  return {
    async prune({ before, onProgress }) {
      const section = sectionFor('prune')
      if (!Number.isSafeInteger(before) || before > now() - dayMs) {
        throw new TypeError(
          '"before" must be a whole number of ms since the epoch, at least 24 hours in the past',
        )
      }
      const sealed = await chained('prune')
      await settle()
      const details = await survey(section, sealed, before)
      await append(recordEvent('audit.pruned', now(), details))
      const totals = { sessions: 0, events: 0 }
      for (;;) {
        const unit = await section.prune(before, details.up_to ?? 0, atOnce)
        totals.sessions += unit.sessions
        totals.events += unit.events
        onProgress?.({ ...totals })
        if (!unit.more) return totals
      }
    },

    async erase(userId, { onProgress } = {}) {
      const section = sectionFor('erase')
      if (typeof userId !== 'string' || userId === '') {
        throw new TypeError('impersonation.audit.erase must be given the id of a user')
      }
      // Without a chain 0: a process that begins one meanwhile has sealed nothing that may be touched.
      const upTo = (await (await chained('erase'))?.chain.readHead())?.seq ?? 0
      await append(recordEvent('audit.erased', now(), { user_id: userId, up_to: upTo }))
      let rows = 0
      for (;;) {
        const unit = await section.erasePerson(userId, upTo, atOnce)
        rows += unit.rows
        onProgress?.({ rows })
        if (!unit.more) break
      }
      rows += await emptyUndelivered(store.outbox, userId)
      onProgress?.({ rows })
      return { rows }
    },
  }
}
