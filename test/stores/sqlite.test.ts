import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import type { Store } from '../../src/stores/store.ts'
import { assertConsistent, endedEvent, endingOf, start } from '../../src/testing/store/fixtures.ts'

let directory: string
let file: string
const stores: { close(): Promise<void> }[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'onbehalf-'))
  file = join(directory, 'impersonation.db')
})
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
  await rm(directory, { recursive: true })
})

function open(path = file): Store & { close(): Promise<void> } {
  const store = sqliteStore({ file: path })
  stores.push(store)
  return store
}

it('wants the path of a file', () => {
  for (const wrong of [
    undefined,
    null,
    {},
    { file: '' },
    { file: ' ' },
    { file: 7 },
    { file: 'a\0b' },
  ]) {
    expect(() => sqliteStore(wrong as { file: string })).toThrow(/^"file" must be/)
  }
})

it('touches no file before its first verb, and then makes it', async () => {
  const store = open()
  expect(
    await rm(file).then(
      () => 'there',
      () => 'none',
    ),
  ).toBe('none')
  expect(await store.readStanding('root')).toEqual({ active: null, lapse: null })
  const plain = new DatabaseSync(file, { readOnly: true })
  expect(plain.prepare('pragma journal_mode').get()).toEqual({ journal_mode: 'wal' })
  plain.close()
})

it('makes it when it is checked, so that `ready()` says at start-up what is wrong with it', async () => {
  await open().check?.()
  const tables = new DatabaseSync(file, { readOnly: true }).prepare(
    "select name from sqlite_master where name = 'impersonation_sessions'",
  )
  expect(tables.all()).toHaveLength(1)
  await expect(open(directory).check?.()).rejects.toThrow()
})

it('keeps what it stored for the next process', async () => {
  const store = open()
  const session = await start(store)
  await store.close()
  expect(await open().readStanding('root')).toEqual({ active: session, lapse: null })
})

it('rejects while the file cannot be opened, and works once it can', async () => {
  const store = open(join(directory, 'later', 'impersonation.db'))
  await expect(store.readStanding('root')).rejects.toThrow(/unable to open/)
  await expect(store.readStanding('root')).rejects.toThrow(/unable to open/)
  await (await import('node:fs/promises')).mkdir(join(directory, 'later'))
  expect(await store.readStanding('root')).toEqual({ active: null, lapse: null })
})

it('rejects where the file is something else', async () => {
  await writeFile(file, 'not a database, but a text of some length'.repeat(50))
  await expect(open().readStanding('root')).rejects.toThrow(/not a database/)
})

it('rejects after close, which may come twice and lets verbs under way finish', async () => {
  const store = open()
  const under = [start(store), store.readStanding('nobody')]
  await turn()
  await Promise.all([store.close(), store.close()])
  await Promise.all(under)
  await expect(store.readStanding('root')).rejects.toThrow('The SQLite store is closed.')
  expect((await open().readStanding('root')).active).not.toBeNull()
})

it('may be closed without having been used', async () => {
  await open().close()
})

it('waits for a lock without stopping the process', async () => {
  const store = open()
  const session = await start(store)
  const other = new DatabaseSync(file)
  other.exec('begin immediate')
  const ending = store.endSession(session.id, endingOf(), endedEvent)
  let longest = 0
  for (let turns = 0; turns < 200; turns++) {
    const began = performance.now()
    await turn()
    longest = Math.max(longest, performance.now() - began)
    expect((await store.readStanding('root')).active, 'reads do not wait').toEqual(session)
  }
  other.exec('commit')
  other.close()
  expect((await ending)?.changed).toBe(true)
  expect(longest, 'milliseconds in which nothing else ran').toBeLessThan(500)
  await assertConsistent(store)
})

it('opens and migrates without stopping the process while somebody else does', async () => {
  const other = new DatabaseSync(file)
  other.exec('pragma journal_mode = wal; begin immediate; create table busy (n)')
  const store = open()
  const standing = store.readStanding('root')
  for (let turns = 0; turns < 50; turns++) await turn()
  other.exec('commit')
  other.close()
  expect(await standing).toEqual({ active: null, lapse: null })
})
