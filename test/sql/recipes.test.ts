import { execFile } from 'node:child_process'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { eq, sql } from 'drizzle-orm'
import { pgTable, serial, text } from 'drizzle-orm/pg-core'
import { integer, sqliteTable, text as sqliteText } from 'drizzle-orm/sqlite-core'
import { CompiledQuery } from 'kysely'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { drizzleOnPostgres, drizzleOnSqlite } from '../../examples/sql/drizzle.ts'
import { kyselyOn } from '../../examples/sql/kysely.ts'
import { guardedAdapter } from '../../examples/sql/prisma.ts'
import { root } from '../repo/files.ts'
import { type Address, servers } from '../support/connect.ts'
import { administer, describeOn, dropDatabase, makeDatabase } from '../support/databases.ts'
import { levels } from './levels.ts'

type World = Awaited<ReturnType<typeof levels>>

/** ORMs wrap what the driver rejects with; the refusal stands somewhere below. */
async function refusalOf(code: () => PromiseLike<unknown>): Promise<string> {
  try {
    await code()
    return 'done'
  } catch (error) {
    for (let at = error as { code?: string; cause?: unknown }; at; at = at.cause as typeof at)
      if (at.code === 'grant_view_only') return at.code
    return String(error)
  }
}

const schema = `
generator client {
  provider = "prisma-client"
  output   = "./client"
}
datasource db {
  provider = "postgresql"
}
model User {
  id    Int    @id
  name  String
  notes Note[]
  @@map("users")
}
model Note {
  id             Int     @id @default(autoincrement())
  body           String
  impersonatedBy String? @map("impersonated_by")
  owner          User?   @relation(fields: [ownerId], references: [id])
  ownerId        Int?    @map("owner_id")
  @@map("notes")
}
`

/** As much of the generated client as is used here. */
interface Prisma {
  note: Record<
    | 'findMany'
    | 'count'
    | 'create'
    | 'updateMany'
    | 'deleteMany'
    | 'upsert'
    | 'groupBy'
    | 'aggregate',
    (args?: object) => Promise<unknown>
  >
  user: { findFirst(args: object): Promise<unknown> }
  $transaction<T>(work: (tx: Prisma) => Promise<T>, options?: object): Promise<T>
  $queryRawUnsafe(text: string): Promise<unknown>
  $executeRawUnsafe(text: string): Promise<unknown>
  $disconnect(): Promise<void>
}

async function generateClient(folder: string): Promise<new (options: object) => Prisma> {
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  await writeFile(join(folder, 'schema.prisma'), schema)
  const command = join(root, 'node_modules/prisma/build/index.js')
  await promisify(execFile)(process.execPath, [command, 'generate', '--schema', 'schema.prisma'], {
    cwd: folder,
    // Generating needs no engine, only that one is there.
    env: {
      ...process.env,
      PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
      CHECKPOINT_DISABLE: '1',
    },
  })
  const { PrismaClient } = await import(pathToFileURL(join(folder, 'client/client.ts')).href)
  return PrismaClient
}

describeOn('postgres', 'the recipes', () => {
  let address: Address & { kind: 'postgres' }
  let pool: pg.Pool
  let world: World

  beforeAll(async () => {
    address = (await makeDatabase('postgres')) as typeof address
    await administer(
      'postgres',
      `create table users (id int primary key, name text);
       create table notes (id serial primary key, body text, impersonated_by text, owner_id int references users)`,
      address.database,
    )
  })
  beforeEach(async () => {
    world = await levels()
    pool = new pg.Pool({ ...servers.postgres, database: address.database })
    pool.on('error', () => {})
    await pool.query(
      "truncate notes, users restart identity; insert into users values (1, 'alice'); insert into notes (body, owner_id) values ('first', 1)",
    )
    return () => pool.end()
  })
  afterAll(async () => {
    if (address) await dropDatabase(address)
  })
  const contents = async () =>
    (await pool.query('select body, impersonated_by as by from notes order by id')).rows

  it('drizzle', async () => {
    const notes = pgTable('notes', { id: serial().primaryKey(), body: text() })
    const db = drizzleOnPostgres(pool, world.engine)
    const reads = [
      () => db.select().from(notes).where(eq(notes.id, 1)),
      () => db.$count(notes),
      () =>
        db
          .with(db.$with('x').as(db.select().from(notes)))
          .select()
          .from(notes),
      () => db.execute(sql`select count(*) from ${notes} where id = ${1}`),
      () => db.transaction((tx) => tx.select().from(notes), { isolationLevel: 'serializable' }),
    ]
    const writes = [
      () => db.insert(notes).values({ body: 'x' }),
      () => db.update(notes).set({ body: 'x' }),
      () => db.delete(notes),
      () => db.execute(sql`delete from ${notes}`),
      () => db.insert(notes).values({ body: 'x' }).returning().prepare('a_name').execute(),
      () => db.transaction((tx) => tx.delete(notes)),
      () => db.select().from(notes).for('update'),
      () =>
        db
          .with(db.$with('x').as(db.delete(notes).returning()))
          .select()
          .from(notes),
    ]
    for (const read of reads)
      expect(await refusalOf(() => world.view(async () => read())), `${read}`).toBe('done')
    for (const write of writes)
      expect(await refusalOf(() => world.view(async () => write())), `${write}`).toBe(
        'grant_view_only',
      )
    expect(await contents()).toEqual([{ body: 'first', by: null }])
    expect(await refusalOf(() => world.full(async () => db.update(notes).set({ body: 'y' })))).toBe(
      'done',
    )
    expect(await contents()).toEqual([{ body: 'y', by: null }])
  })

  it('kysely', async () => {
    const db = kyselyOn(pool, world.engine)
    const write = () => db.updateTable('notes').set({ body: 'y' }).execute()
    expect(await world.view(() => db.selectFrom('notes').select('body').execute())).toEqual([
      { body: 'first' },
    ])
    expect(await refusalOf(() => world.view(write))).toBe('grant_view_only')
    expect(await contents()).toEqual([{ body: 'first', by: null }])
    const past = () => db.executeQuery(CompiledQuery.raw('delete from notes'))
    expect(await refusalOf(() => world.view(past))).toBe('grant_view_only')
    await world.interactive(write)
    expect(await contents()).toEqual([{ body: 'y', by: 'root' }])
    await world.free(write)
    expect(await contents()).toEqual([{ body: 'y', by: null }])
  })

  it('prisma', { timeout: 60_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'onbehalf-prisma-'))
    try {
      const PrismaClient = await generateClient(folder)
      const prisma = new PrismaClient({ adapter: guardedAdapter(pool, world.engine) })
      const reads = [
        () =>
          prisma.note.findMany({
            where: { body: { contains: 'a', mode: 'insensitive' } },
            include: { owner: true },
            take: 3,
            orderBy: { id: 'desc' },
          }),
        () => prisma.note.count(),
        () =>
          prisma.note.groupBy({
            by: ['body'],
            _count: { _all: true },
            having: { body: { not: 'z' } },
          }),
        () => prisma.note.aggregate({ _max: { id: true }, _avg: { id: true } }),
        () =>
          prisma.user.findFirst({
            where: { notes: { some: { body: 'first' } } },
            include: { _count: { select: { notes: true } } },
          }),
        () =>
          prisma.note.findMany({
            where: { id: { in: [1, 2, 3] }, owner: { is: { name: { startsWith: 'a' } } } },
            distinct: ['body'],
          }),
        () => prisma.$queryRawUnsafe('select count(*)::int from notes'),
        () => prisma.$transaction((tx) => tx.note.findMany(), { isolationLevel: 'Serializable' }),
      ]
      const writes = [
        () => prisma.note.create({ data: { body: 'x' } }),
        () => prisma.note.updateMany({ data: { body: 'x' } }),
        () => prisma.note.deleteMany(),
        () =>
          prisma.note.upsert({ where: { id: 1 }, create: { body: 'x' }, update: { body: 'x' } }),
        () => prisma.$queryRawUnsafe('delete from notes returning id'),
        () => prisma.$executeRawUnsafe('delete from notes'),
        () => prisma.$transaction((tx) => tx.note.deleteMany()),
      ]
      for (const read of reads)
        expect(await refusalOf(() => world.view(async () => await read())), `${read}`).toBe('done')
      // A query of Prisma is sent when it is awaited, as a handler does within its request.
      for (const write of writes)
        expect(await refusalOf(() => world.view(async () => await write())), `${write}`).toBe(
          'grant_view_only',
        )
      expect(await contents()).toEqual([{ body: 'first', by: null }])

      await world.full(async () => await prisma.note.updateMany({ data: { body: 'y' } }))
      expect(await contents()).toEqual([{ body: 'y', by: null }])
      await prisma.$disconnect()
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

describe('the recipes (sqlite)', () => {
  it('drizzle', async () => {
    const world = await levels()
    const database = new DatabaseSync(':memory:')
    database.exec(
      "create table notes (id integer primary key, body text); insert into notes (body) values ('first')",
    )
    const notes = sqliteTable('notes', { id: integer().primaryKey(), body: sqliteText() })
    const db = drizzleOnSqlite(database, world.engine)
    const reads = [
      () => db.select().from(notes).where(eq(notes.id, 1)),
      () => db.select().from(notes).get(),
      () => db.all(sql`select count(*) from notes`),
      () => db.transaction((tx) => tx.select().from(notes)),
    ]
    const writes = [
      () => db.insert(notes).values({ body: 'x' }),
      () => db.insert(notes).values({ body: 'x' }).returning(),
      () => db.update(notes).set({ body: 'x' }),
      () => db.delete(notes),
      () => db.run(sql`delete from notes`),
      () => db.all(sql`delete from notes returning id`),
      () => db.transaction((tx) => tx.delete(notes)),
    ]
    for (const read of reads)
      expect(await refusalOf(() => world.view(async () => read())), `${read}`).toBe('done')
    for (const write of writes)
      expect(await refusalOf(() => world.view(async () => write())), `${write}`).toBe(
        'grant_view_only',
      )
    expect(database.prepare('select body from notes').all()).toEqual([{ body: 'first' }])
    expect(await world.view(async () => db.select().from(notes))).toEqual([
      { id: 1, body: 'first' },
    ])
    await world.full(async () => db.update(notes).set({ body: 'y' }))
    expect(await world.free(async () => db.select().from(notes).get())).toEqual({
      id: 1,
      body: 'y',
    })
  })
})
