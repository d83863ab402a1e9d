import { isRecord } from '../checks.ts'
import type { ChainedEvent, ChainHead, ChainSection, Link } from '../stores/chain.ts'
import type { TrailSection } from '../stores/trail.ts'
import type { AuditEvent } from '../types.ts'
import { type Allowances, createAllowances } from './allowances.ts'
import { type ChainKeys, digestOf, macOf, personalDigestOf } from './seal.ts'
import { type BadEntry, createTrailCheck, type TrailProblem } from './verify-trail.ts'

/** A place of the chain to keep elsewhere: what was cut off or rewritten after it shows. */
export interface Checkpoint extends ChainHead {
  /** When it was taken, in ms since the epoch. */
  readonly at: number
}

export interface VerifyOptions {
  /** Checks what events say only where they are of this session; links always. @default all */
  readonly sessionId?: string
  /** … from this instant on, in ms since the epoch. @default the first */
  readonly from?: number
  /** … and before this one. @default the last */
  readonly to?: number
  /** Taken earlier, and kept where whoever writes to the database can't. */
  readonly checkpoint?: Checkpoint
  /** Told after each page, with how many links were checked. */
  readonly onProgress?: (checked: number) => void
}

export interface Verification {
  readonly ok: boolean
  /** How many links were checked. */
  readonly checked: number
  /** The first that does not hold. */
  readonly firstBad?: BadLink
}

export interface BadLink {
  readonly seq: number | null
  readonly eventId: string | null
  readonly problem: Problem
  /** Where it is the action trail of a session that does not hold: whose, and the number of the entry. */
  readonly sessionId?: string
  readonly actionSeq?: number
}

export type Problem =
  | TrailProblem
  /** The event does not say any more what it said when it was sealed, and no sealed `audit.erased` allows it. */
  | 'event_changed'
  /** … is not there any more, and no sealed `audit.pruned` allows it. */
  | 'event_missing'
  /** A link was changed, moved or made by somebody without the key. */
  | 'link_forged'
  | 'link_missing'
  /**
   * An event that nobody sealed is newer than the first sealed one, and not older than `from`: somebody put it
   * in, or a process without the key has stored it.
   */
  | 'event_added'
  /** The chain ends before the checkpoint. */
  | 'cut_off'
  /** Another chain than the one that the checkpoint was taken of. */
  | 'rewritten'

const pageSize = 2000

/** Walks the whole chain, page by page, and names the first link, event or entry of a trail that does not hold. */
export async function verifyChain(
  chain: ChainSection,
  keys: ChainKeys,
  options: VerifyOptions = {},
  trail?: TrailSection,
): Promise<Verification> {
  const { verification, allowances } = await walkChain(chain, keys, options, trail)
  const { ok, checked } = verification
  if (!ok || checked === 0) return verification
  const { from = 0 } = options
  const [added] = await chain.readUnsealed(Math.max(allowances.pruned.began + 1, from), 1)
  return result(checked, added && { seq: null, eventId: added.id, problem: 'event_added' })
}

/** The same, but for what nobody sealed. */
export async function walkChain(
  chain: ChainSection,
  keys: ChainKeys,
  options: VerifyOptions = {},
  trail?: TrailSection,
): Promise<{ readonly verification: Verification; readonly allowances: Allowances }> {
  const { checkpoint, onProgress } = options
  // Read first: the chain may grow meanwhile, and never shrinks.
  const marks = [await chain.readHead(), checkpoint].filter((mark) => mark != null)
  const allowances = createAllowances()
  const ended = (checked: number, bad?: BadLink) => ({
    verification: result(checked, bad),
    allowances,
  })
  const trails = trail && createTrailCheck(trail, keys)
  let last: Link | null = null
  let changed: BadLink | undefined

  for await (const { link, event } of linksOf(chain, onProgress)) {
    const { seq, eventId } = link
    const problem: Problem | null =
      linkProblem(link, last, keys) ?? misplaced(link, marks, checkpoint)
    if (problem && changed) return ended((changed.seq ?? 1) - 1, changed)
    if (problem) return ended(last?.seq ?? 0, { seq, eventId, problem })
    last = link
    if (!event) allowances.missing(seq)
    else if (!weighed(event, link, allowances, options)) {
      changed ??= { seq, eventId, problem: 'event_changed' }
    } else if (trails && isAsked(event, options)) {
      const adding = trails.add({ link, event })
      if (adding) changed ??= await stillBad(chain, await adding)
    }
  }
  if (trails) changed ??= await stillBad(chain, await trails.rest())
  const seq = last?.seq ?? 0
  if (!changed && marks.some((mark) => mark.seq > seq)) {
    return ended(seq, { seq: seq + 1, eventId: null, problem: 'cut_off' })
  }
  const gone = allowances.weigh()
  if (changed?.seq != null && (!gone || changed.seq <= gone.seq)) {
    return ended(changed.seq - 1, changed)
  }
  if (!gone) return ended(seq)
  const [chained] = await chain.readLinks(gone.seq - 1, 1)
  return ended(gone.seq - 1, { ...gone, eventId: chained?.link.eventId ?? null })
}

/** A session that was pruned after its end was read has no trail any more, and needs none. */
async function stillBad(chain: ChainSection, bad: BadEntry | null): Promise<BadLink | undefined> {
  const [chained] = bad ? await chain.readLinks(bad.seq - 1, 1) : []
  return bad && chained?.event ? bad : undefined
}

async function* linksOf(
  chain: ChainSection,
  onProgress: VerifyOptions['onProgress'],
): AsyncGenerator<ChainedEvent> {
  let after = 0
  for (;;) {
    const page = await chain.readLinks(after, pageSize)
    yield* page
    after = page.at(-1)?.link.seq ?? after
    onProgress?.(after)
    if (page.length < pageSize) return
  }
}

function result(checked: number, bad?: BadLink): Verification {
  return { ok: !bad, checked, ...(bad && { firstBad: bad }) }
}

/** Whether another link stands where the head or the checkpoint stood. */
function misplaced(
  link: Link,
  marks: readonly ChainHead[],
  checkpoint: Checkpoint | undefined,
): Problem | null {
  const wrong = marks.find((mark) => mark.seq === link.seq && mark.mac !== link.mac)
  if (!wrong) return null
  return wrong === checkpoint ? 'rewritten' : 'link_forged'
}

function linkProblem(link: Link, head: Link | null, { secrets }: ChainKeys): Problem | null {
  if (link.seq !== (head?.seq ?? 0) + 1) return 'link_missing'
  const key = secrets.get(link.keyId)
  if (!key) return 'key_unknown'
  return macOf(link, head, key) === link.mac ? null : 'link_forged'
}

/** Gives whether an event is what it was, or may be: what it lacks is weighed at the end. */
function weighed(
  event: AuditEvent,
  link: Link,
  allowances: Allowances,
  options: VerifyOptions,
): boolean {
  // Whatever was asked for: no other writes such, and what it says of its own instant is not to be believed.
  if (!isSealable(event)) return false
  // Whatever was asked for: the others are held against these.
  if (!isAsked(event, options) && !event.action.startsWith('audit.')) {
    allowances.passed(event)
    return true
  }
  if (!holds(event, link)) return false
  if (link.salt === null) allowances.blank(link.seq, event)
  else allowances.found(event)
  return true
}

/** What reads the same as something else once it is JSON, or is not JSON at all, was never sealed. */
function isSealable({ at, details }: AuditEvent): boolean {
  if (!Number.isSafeInteger(at) || !isRecord(details)) return false
  for (const name in details) {
    const value = details[name]
    if (typeof value === 'number' && !Number.isFinite(value)) return false
  }
  return true
}

function holds(event: AuditEvent, { eventId, digest, personalDigest, salt }: Link): boolean {
  if (event.id !== eventId || digestOf(event, personalDigest) !== digest) return false
  // What was erased can't be checked; what stands there can't be what it was.
  if (salt === null) return !hasPersonalData(event)
  return personalDigestOf(event, salt) === personalDigest
}

const hasPersonalData = ({ reason, ipAddress, userAgent, details }: AuditEvent): boolean =>
  [reason, ipAddress, userAgent, details.ended_note ?? null].some((value) => value !== null)

function isAsked(event: AuditEvent, { sessionId, from, to }: VerifyOptions): boolean {
  return (
    (sessionId === undefined || event.sessionId === sessionId) &&
    event.at >= (from ?? Number.NEGATIVE_INFINITY) &&
    event.at < (to ?? Number.POSITIVE_INFINITY)
  )
}
