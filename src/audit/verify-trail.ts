import type { ChainedEvent } from '../stores/chain.ts'
import type { TrailHead, TrailSection } from '../stores/trail.ts'
import { type AuditEvent, endings, type TrailEntry } from '../types.ts'
import type { ChainKeys } from './seal.ts'
import { entryMac } from './trail-seal.ts'

/** What is wrong with the trail of a session. */
export interface BadEntry {
  /** The event that the trail was held against: of the session's end, or of its start while it is open. */
  readonly seq: number
  readonly eventId: string
  readonly sessionId: string
  /** The number of the entry that does not hold. */
  readonly actionSeq: number
  readonly problem: TrailProblem
}

export type TrailProblem =
  /** Changed, moved, or made by somebody without the key. */
  | 'action_forged'
  /** The trail has a gap, or ends before the place that the event of the session's end names. */
  | 'action_missing'
  | 'key_unknown'

/** Holds the trails of sessions against what the chain says of them, some hundred at a time. */
export interface TrailCheck {
  /** An event whose link holds; gives the first entry that does not, once enough have come together. */
  add(chained: ChainedEvent): Promise<BadEntry | null> | null
  /** What is left, and the sessions that have not ended. */
  rest(): Promise<BadEntry | null>
}

interface Expected {
  readonly seq: number
  readonly event: AuditEvent
  /** Null where nothing says how far the trail went. */
  readonly head: TrailHead | null
}

const atOnce = 200
const pageSize = 2000

export function createTrailCheck(trail: TrailSection, keys: ChainKeys): TrailCheck {
  const begun = new Map<string, Expected>()
  let ended = new Map<string, Expected>()

  async function checkAll(expected: ReadonlyMap<string, Expected>): Promise<BadEntry | null> {
    const ids = [...expected.keys()]
    for (let first = 0; first < ids.length; first += atOnce) {
      const some = ids.slice(first, first + atOnce)
      const bad = await checkSome(trail, keys, new Map(some.map((id) => [id, expected.get(id)])))
      if (bad) return bad
    }
    return null
  }

  return {
    add({ link: { seq }, event }) {
      if (!event?.sessionId) return null
      if (event.action === 'impersonation.started') {
        begun.set(event.sessionId, { seq, event, head: null })
      }
      if (!isEnd(event)) return null
      begun.delete(event.sessionId)
      ended.set(event.sessionId, { seq, event, head: headIn(event) })
      if (ended.size < atOnce) return null
      const full = ended
      ended = new Map()
      return checkAll(full)
    },
    rest: async () => (await checkAll(ended)) ?? checkAll(begun),
  }
}

const isEnd = ({ action }: AuditEvent) =>
  endings.some((ending) => action === `impersonation.${ending}`)

function headIn({ details }: AuditEvent): TrailHead | null {
  const { trail_seq: seq, trail_mac: mac } = details
  return typeof seq === 'number' ? { seq, mac: typeof mac === 'string' ? mac : null } : null
}

async function checkSome(
  trail: TrailSection,
  { secrets }: ChainKeys,
  expected: ReadonlyMap<string, Expected | undefined>,
): Promise<BadEntry | null> {
  const last = new Map<string, TrailEntry>()
  for await (const entry of entriesOf(trail, [...expected.keys()])) {
    const { sessionId } = entry
    const problem = problemOf(entry, last.get(sessionId) ?? null, expected.get(sessionId)?.head)
    if (problem) return bad(sessionId, entry.seq, problem)
    last.set(sessionId, entry)
  }
  for (const [sessionId, one] of expected) {
    const seq = last.get(sessionId)?.seq ?? 0
    if (one?.head && one.head.seq > seq) return bad(sessionId, seq + 1, 'action_missing')
  }
  return null

  function problemOf(
    entry: TrailEntry,
    before: TrailEntry | null,
    head: TrailHead | null | undefined,
  ): TrailProblem | null {
    if (entry.seq !== (before?.seq ?? 0) + 1) return 'action_missing'
    const key = secrets.get(entry.keyId ?? '')
    if (!key) return entry.keyId === null ? 'action_forged' : 'key_unknown'
    if (entryMac(entry, before, key) !== entry.mac) return 'action_forged'
    return head?.seq === entry.seq && head.mac !== entry.mac ? 'action_forged' : null
  }

  function bad(sessionId: string, actionSeq: number, problem: TrailProblem): BadEntry {
    const { seq = 0, event } = expected.get(sessionId) ?? {}
    return { seq, eventId: event?.id ?? '', sessionId, actionSeq, problem }
  }
}

async function* entriesOf(
  trail: TrailSection,
  sessionIds: readonly string[],
): AsyncGenerator<TrailEntry> {
  let after: TrailEntry | null = null
  for (;;) {
    const page: readonly TrailEntry[] = await trail.readTrails(sessionIds, after, pageSize)
    yield* page
    after = page.at(-1) ?? null
    if (page.length < pageSize) return
  }
}
