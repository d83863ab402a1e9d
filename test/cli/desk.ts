import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { Kysely, SqliteDialect } from 'kysely'
import type { Command, Tools } from '../../src/cli/command.ts'
import { openDatabase } from '../../src/cli/database.ts'
import type { Sink } from '../../src/cli/output.ts'
import { run, type World } from '../../src/cli/run.ts'
import { kyselyStore, migrate } from '../../src/stores/kysely/index.ts'
import { openSqlite } from '../../src/stores/kysely/node-sqlite.ts'
import type { Tables } from '../../src/stores/kysely/schema.ts'
import { minute, start as startAt } from '../../src/testing/store/fixtures.ts'
import type { Session } from '../../src/types.ts'
import { type Address, kyselyOn, servers } from '../support/connect.ts'
import { dropDatabase, type Kind, makeDatabase } from '../support/databases.ts'

export const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** A sink that keeps what it is given. */
export function paper(isTTY = false): Sink & { text: string } {
  return {
    text: '',
    isTTY,
    closed: false,
    async write(more) {
      this.text += more
    },
  }
}

/** Runs a command line in this process. */
export async function cli(argv: readonly string[], world: Partial<World> = {}): Promise<Ran> {
  const [out, err] = [paper(), paper()]
  const whole: World = { env: {}, folder: root, out, err, now: Date.now, ...world }
  const code = await run(argv, whole)
  return { code, out: out.text, err: err.text }
}

/** The file that `bin` is built from, as Node runs it: it strips the types, and on some versions says so. */
export const program = [
  '--disable-warning=ExperimentalWarning',
  join(root, 'src/cli/main.ts'),
] as const

/** Runs a command line as a process of its own. */
export async function spawned(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  const child = spawn(process.execPath, [...program, ...argv], {
    cwd: root,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, err, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ])
  return { code, out, err }
}

export function urlOf(address: Address): string {
  if (address.kind === 'sqlite') return `sqlite:${address.file}`
  const { host, port, user } = servers[address.kind]
  return `${address.kind}://${user}@${host}:${port}/${address.database}`
}

/** A database with tables, looked at from this side too. */
export interface Desk {
  readonly address: Address
  readonly url: string
  readonly db: Kysely<Tables>
  readonly store: ReturnType<typeof kyselyStore>
  /** Runs a command line on this database. */
  cli(argv: readonly string[], world?: Partial<World>): Promise<Ran>
  /** Runs a command with some of its tools exchanged. */
  call<Args>(command: Command<Args>, args: Args, tools: Partial<Tools>): Promise<Ran>
  start(changes?: Partial<Session>): Promise<Session>
  close(): Promise<void>
}

export async function openDesk(kind: Kind = 'sqlite'): Promise<Desk> {
  const address = await makeDatabase(kind)
  const url = urlOf(address)
  const db =
    address.kind === 'sqlite'
      ? new Kysely<Tables>({
          dialect: new SqliteDialect({ database: () => openSqlite(address.file) }),
        })
      : kyselyOn(address.kind, address.database, 2)
  await migrate(db)
  const store = kyselyStore(db)
  return {
    address,
    url,
    db,
    store,
    cli: (argv, world) => cli([...argv, '--database', url], world),
    async call(command, args, tools) {
      const [out, err] = [paper(), paper()]
      const database = await openDatabase(url, { folder: root, make: false })
      try {
        const own = { out, err, now: Date.now, json: false, chainKeys: () => undefined }
        const whole = { ...database, ...own, ...tools }
        return { code: await command.run(whole, args), out: out.text, err: err.text }
      } finally {
        await database.close()
      }
    },
    start(changes) {
      const now = Date.now()
      return startAt(store, { createdAt: now, expiresAt: now + 30 * minute, ...changes })
    },
    async close() {
      await db.destroy()
      await dropDatabase(address)
    },
  }
}

export const jsonLines = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
