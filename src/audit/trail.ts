import { ImpersonationError } from '../errors.ts'
import type { TrailSection } from '../stores/trail.ts'
import type { Session, TrailEntry } from '../types.ts'
import { warnOnce } from '../warnings.ts'
import type { ChainKeys } from './seal.ts'
import { placed } from './trail-seal.ts'

/** Puts on record what is done under sessions. */
export interface Trail {
  /**
   * A request that may change something: resolves once it is on record.
   * @throws {ImpersonationError} impersonation_unavailable: it could not be put there
   */
  before(request: TrailRequest): Promise<Trace>
  /**
   * A request that reads: goes on record with its answer.
   * @throws {ImpersonationError} impersonation_unavailable: too much waits for the store as it is
   */
  reading(request: TrailRequest): Trace
  /** A request that was refused before any handler ran. */
  refused(request: TrailRequest, status: number): void
  /** Stores what waits, of one session or of all. Never rejects: what can't be stored goes on waiting. */
  flush(sessionId?: string): Promise<void>
}

/** Tells what became of a request: once; of several calls the first counts. `route` where it is known only now. */
export type Trace = (status: number | null, route?: string | null) => void

export interface TrailRequest {
  readonly session: Session
  readonly method: string
  readonly route: string | null
  readonly path: string
  readonly requestId: string | null
}

type Content = Omit<TrailEntry, 'seq' | 'keyId' | 'mac'>

interface Waiting {
  readonly content: Content
  /** Where somebody waits for it; such an entry is dropped where it can't be stored. */
  readonly waiter?: { stored(seq: number): void; failed(error: unknown): void }
}

/** What waits to be stored in the trail of one session. */
interface Line {
  waiting: Waiting[]
  /** The writing under way: whether all that it came to could be stored. */
  writing: Promise<boolean> | undefined
  /** The last attempt, if nobody knows what became of it. */
  doubtful: { readonly batch: readonly Waiting[]; readonly made: readonly TrailEntry[] } | undefined
}

const everyMs = 1000
const mostAtOnce = 200
const mostWaiting = 10_000

export function createTrail(parts: {
  readonly settings: { readonly now: () => number; readonly chainKeys?: ChainKeys | undefined }
  readonly store: TrailSection
  /** How much may wait for the store. @default 10_000 */
  readonly most?: number
}): Trail {
  const { settings, store, most = mostWaiting } = parts
  const lines = new Map<string, Line>()
  let waiting = 0
  /** Reads that have been let in and are not answered yet: each will want a place. */
  let open = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  function put(content: Content, waiter?: Waiting['waiter']): void {
    const { sessionId } = content
    const line = lines.get(sessionId) ?? { waiting: [], writing: undefined, doubtful: undefined }
    lines.set(sessionId, line)
    line.waiting.push(waiter ? { content, waiter } : { content })
    waiting++
    if (waiter || line.waiting.length >= mostAtOnce) write(sessionId, line)
    else soon()
  }

  function soon(): void {
    timer ??= setTimeout(() => {
      timer = undefined
      flush()
    }, everyMs)
    timer.unref?.()
  }

  /** One at a time, in the order in which they came, up to the first batch that can't be stored. Never rejects. */
  function write(sessionId: string, line: Line): Promise<boolean> {
    line.writing ??= writeAll(sessionId, line)
      .then(
        () => true,
        (error) => giveUp(line, error),
      )
      .finally(() => {
        line.writing = undefined
        if (line.waiting.some(({ waiter }) => waiter)) write(sessionId, line)
        else if (line.waiting.length > 0) soon()
        else lines.delete(sessionId)
      })
    return line.writing
  }

  async function writeAll(sessionId: string, line: Line): Promise<void> {
    while (line.waiting.length > 0) {
      await settleDoubt(sessionId, line)
      const batch = line.waiting.slice(0, mostAtOnce)
      if (batch.length > 0) await writeBatch(sessionId, line, batch)
    }
  }

  /** For now. Whoever waits is refused; what has happened already goes on waiting. */
  function giveUp(line: Line, error: unknown): false {
    const waited = line.waiting.filter(({ waiter }) => waiter)
    take(line, waited)
    for (const { waiter } of waited) waiter?.failed(error)
    warnOnce(
      'ONBEHALF_TRAIL_NOT_STORED',
      `the action trail could not be stored; writes are refused, reads wait for it: ${reasonOf(error)}`,
    )
    return false
  }

  async function writeBatch(sessionId: string, line: Line, batch: readonly Waiting[]) {
    let made: TrailEntry[] = []
    const make = batch.map(({ content }, n) => (head: Parameters<typeof placed>[1]) => {
      // Asked from the start again after a lost race.
      if (n === 0) made = []
      const entry = placed(content, head, settings.chainKeys)
      made.push(entry)
      return entry
    })
    try {
      const last = await store.appendTrail(sessionId, make)
      take(line, batch)
      for (const [n, { waiter }] of batch.entries()) waiter?.stored(last - batch.length + 1 + n)
    } catch (error) {
      if (made.length === batch.length) line.doubtful = { batch, made }
      throw error
    }
  }

  function take(line: Line, done: readonly Waiting[]): void {
    const before = line.waiting.length
    const gone = new Set(done)
    line.waiting = line.waiting.filter((one) => !gone.has(one))
    waiting -= before - line.waiting.length
  }

  /** The answer to the last attempt was lost: perhaps it was made. Nothing is to stand there twice. */
  async function settleDoubt(sessionId: string, line: Line): Promise<void> {
    const [first] = line.doubtful?.made ?? []
    if (!line.doubtful || !first) return
    const after = { sessionId, seq: first.seq - 1 }
    const [found] = await store.readTrails([sessionId], after, 1)
    if (found && isSame(found, first)) take(line, line.doubtful.batch)
    line.doubtful = undefined
  }

  async function flush(sessionId?: string): Promise<void> {
    const chosen = [...lines].filter(([id]) => sessionId === undefined || id === sessionId)
    await Promise.all(chosen.map(([id, line]) => drain(id, line)))
  }

  /** A writing that is about to end has not seen what came just now. */
  async function drain(sessionId: string, line: Line): Promise<void> {
    while (line.waiting.length > 0 && (await write(sessionId, line)));
  }

  function checkRoom(): void {
    if (waiting + open < most) return
    const cause = new Error('more of the action trail waits for the store than can be kept')
    throw new ImpersonationError('impersonation_unavailable', { cause })
  }

  const contentOf = ({ session, ...request }: TrailRequest, at: number): Content => ({
    sessionId: session.id,
    at,
    completes: null,
    ...request,
    status: null,
    durationMs: null,
  })

  return {
    async before(request) {
      checkRoom()
      const at = settings.now()
      const began = performance.now()
      const content = contentOf(request, at)
      const seq = await new Promise<number>((stored, failed) => put(content, { stored, failed }))
      return once((status, route = null) => {
        const durationMs = Math.round(performance.now() - began)
        const nothing = { method: null, path: null, requestId: null }
        const over = { at: at + durationMs, completes: seq, route, status, durationMs }
        put({ sessionId: content.sessionId, ...nothing, ...over })
      })
    },
    reading(request) {
      checkRoom()
      const at = settings.now()
      const began = performance.now()
      open++
      return once((status, route = null) => {
        open--
        const durationMs = Math.round(performance.now() - began)
        const content = contentOf(request, at)
        put({ ...content, route: route ?? request.route, status, durationMs })
      })
    },
    refused(request, status) {
      // A flood of refusals can't be refused any further: the events count them.
      if (waiting + open < most)
        put({ ...contentOf(request, settings.now()), status, durationMs: 0 })
    },
    flush,
  }
}

function once(tell: Trace): Trace {
  let told = false
  return (status, route) => {
    if (told) return
    told = true
    tell(status, route)
  }
}

const isSame = (one: TrailEntry, other: TrailEntry) =>
  (Object.keys(other) as (keyof TrailEntry)[]).every((name) => one[name] === other[name])

const reasonOf = (error: unknown) =>
  error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error)
