import type { Kysely } from 'kysely'
import type { ChainKeys } from '../audit/seal.ts'
import type { Dialect } from '../stores/kysely/dialect.ts'
import type { ListenClient } from '../stores/kysely/listen.ts'
import type { Tables } from '../stores/kysely/schema.ts'
import type { FullStore } from '../stores/kysely/store.ts'
import type { Given, Options } from './args.ts'
import type { Exit } from './faults.ts'
import type { Sink } from './output.ts'

/**
 * How a command finds the database: `made`, it may make a file that is not there; `proven`, somebody
 * answers; `unproven`, it looks for itself.
 */
export type Opening = 'made' | 'proven' | 'unproven'

export interface Command<Args> {
  /** After `onbehalf <name>`, in the help. */
  readonly usage: string
  readonly about: string
  readonly options: Options
  /** What was typed, checked. @throws {UsageError} */
  read(given: Given): Args
  /** @default 'proven' */
  readonly opening?: Opening
  /** What it does without a database; undefined where it needs one. */
  alone?(args: Args, out: Sink): Promise<Exit> | undefined
  run(tools: Tools, args: Args): Promise<Exit>
}

/** What a command works with. */
export interface Tools {
  readonly db: Kysely<Tables>
  readonly store: FullStore
  readonly dialect: Dialect
  /** Rejects unless the database answers in time. */
  readonly reach: () => Promise<void>
  /** Postgres: makes the client of another connection. */
  readonly listen?: (() => ListenClient) | undefined
  /** The keys of the chain, where some are given. @throws {UsageError} for such as can't be used */
  readonly chainKeys: () => ChainKeys | undefined
  readonly out: Sink
  readonly err: Sink
  readonly now: () => number
  /** For programs. */
  readonly json: boolean
  /** Asks whoever sits at the terminal; undefined where nobody does. */
  readonly confirm?: ((question: string) => Promise<boolean>) | undefined
  /** An error as a sentence, without the password of the URL. */
  readonly sentence: (error: unknown) => string
}
