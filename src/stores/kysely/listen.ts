import { randomUUID } from 'node:crypto'
import { sql, type Transaction } from 'kysely'
import type { StoreWatcher } from '../store.ts'
import type { Tables } from './schema.ts'

/** What the watch needs of a Postgres client: `new pg.Client(…)`, not yet connected, has it all. */
export interface ListenClient {
  connect(): Promise<unknown>
  query(text: string, values?: string[]): Promise<unknown>
  on(event: 'notification', listener: (message: ListenMessage) => void): unknown
  on(event: 'error' | 'end', listener: () => void): unknown
  end(): Promise<unknown>
  /** Where there is one, it keeps the connection from keeping the process alive. */
  unref?(): void
}

export interface ListenMessage {
  readonly channel: string
  readonly payload?: string | undefined
}

const channel = 'onbehalf'
const connectTimeoutMs = 5_000
const shortestPauseMs = 100
const longestPauseMs = 5_000

/** Tells every listening process, at the commit, that something about these actors changed. */
export async function notify(trx: Transaction<Tables>, actorIds: Iterable<string>): Promise<void> {
  // An id is shorter than the 8,000 bytes that a payload may have.
  const calls = [...new Set(actorIds)].map((id) => sql`pg_notify(${channel}, ${id})`)
  if (calls.length > 0) await sql`select ${sql.join(calls)}`.execute(trx)
}

/**
 * Hears what `notify` tells, on one connection of its own, and says whether it can be relied on. A
 * heartbeat takes the way of every message: it is sent to ourselves and has to come back. Postgres
 * delivers in the order of commits, so a beat that came back says that everything committed before
 * it was sent was heard.
 */
export function listenFor(
  makeClient: () => ListenClient,
  watcher: StoreWatcher,
): () => Promise<void> {
  /** On the way up, or up; null in the pause before the next attempt. */
  let line: Line | null = null
  let pauseMs = shortestPauseMs
  let pause: NodeJS.Timeout | undefined
  let stopped = false

  function open(): void {
    try {
      line = openLine(makeClient(), watcher, { onUp, onDown })
    } catch {
      onDown()
    }
  }

  function onUp(): void {
    pauseMs = shortestPauseMs
    // Whatever was said while nobody listened was missed.
    watcher.invalidate(null)
    watcher.healthy(true)
  }

  function onDown(): void {
    watcher.healthy(false)
    line = null
    if (stopped) return
    pause = setTimeout(open, pauseMs * (0.5 + Math.random() / 2)).unref()
    pauseMs = Math.min(2 * pauseMs, longestPauseMs)
  }

  open()
  return async () => {
    stopped = true
    clearTimeout(pause)
    await line?.close()
  }
}

interface Line {
  close(): Promise<void>
}

/** One connection from its making to its end: `onUp` at most once, `onDown` once unless closed. */
function openLine(
  client: ListenClient,
  watcher: StoreWatcher,
  { onUp, onDown }: { onUp(): void; onDown(): void },
): Line {
  // A channel per connection: nobody else is woken by its beats.
  const beats = `${channel}_${randomUUID()}`
  let state: 'opening' | 'up' | 'over' = 'opening'
  let sentAt = 0
  let nextBeat: NodeJS.Timeout | undefined
  let deadline: NodeJS.Timeout | undefined

  function over(): boolean {
    if (state === 'over') return true
    state = 'over'
    clearTimeout(nextBeat)
    clearTimeout(deadline)
    return false
  }

  function fail(): void {
    if (over()) return
    // The connection may be dead without knowing it: nobody waits for its farewell.
    Promise.resolve(client.end()).catch(() => {})
    onDown()
  }

  function beat(): void {
    sentAt = performance.now()
    client.query('select pg_notify($1, $2)', [beats, '']).catch(fail)
  }

  function hear(message: ListenMessage): void {
    if (state === 'over') return
    if (message.channel === channel) watcher.invalidate(message.payload || null)
    if (message.channel !== beats) return
    clearTimeout(deadline)
    // Silence counts from when the last beat that came back was sent: all before it was heard.
    deadline = setTimeout(fail, watcher.silenceMs - (performance.now() - sentAt)).unref()
    nextBeat = setTimeout(beat, watcher.silenceMs / 4).unref()
    if (state === 'up') return
    state = 'up'
    onUp()
  }

  async function connect(): Promise<void> {
    deadline = setTimeout(fail, connectTimeoutMs).unref()
    await client.connect()
    client.unref?.()
    await client.query(`listen "${channel}"`)
    await client.query(`listen "${beats}"`)
    beat()
  }

  client.on('error', fail)
  client.on('end', fail)
  client.on('notification', hear)
  connect().catch(fail)

  return {
    async close() {
      if (over()) return
      const late = new Promise((resolve) => setTimeout(resolve, shortestPauseMs).unref())
      await Promise.race([Promise.resolve(client.end()).catch(() => {}), late])
    },
  }
}
