import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDatabase } from '../../src/cli/database.ts'
import { openSqliteFile } from '../../src/cli/drivers.ts'
import { Fault } from '../../src/cli/faults.ts'
import { sentenceFor } from '../../src/cli/sentences.ts'
import { readUrl } from '../../src/cli/url.ts'
import { administer, describeOn } from '../support/databases.ts'
import { cli, root, spawned } from './desk.ts'

const commands = [['sessions'], ['revoke', 'x'], ['export'], ['verify'], ['doctor'], ['migrate']]

describe('nobody answers', () => {
  it.each(['postgres', 'mysql'])('a closed port of %s', async (kind) => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    server.close()
    await once(server, 'close')
    for (const argv of commands) {
      const url = `${kind}://me:s3cret@127.0.0.1:${port}/app`
      const { code, out, err } = await cli(argv, { env: { DATABASE_URL: url } })
      expect(code).toBe(1)
      expect(out + err).toContain(`Nobody answers at 127.0.0.1:${port} (database app)`)
      expect(out + err).not.toContain('s3cret')
    }
  })

  it('as a process of its own it says so within seconds', async () => {
    const began = performance.now()
    const env = { DATABASE_URL: 'postgres://me:s3cret@127.0.0.1:1/app' }
    const { code, out, err } = await spawned(['sessions'], env)
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toBe(
      'onbehalf sessions: Nobody answers at 127.0.0.1:1 (database app): connect ECONNREFUSED 127.0.0.1:1\n',
    )
    expect(performance.now() - began).toBeLessThan(10_000)
  })

  it.each(['postgres', 'mysql'])(
    'a port of %s that takes the connection and is silent',
    async (kind) => {
      const sockets = new Set<{ destroy(): unknown }>()
      const server = createServer((socket) => void sockets.add(socket.on('error', () => {})))
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as { port: number }
      try {
        const url = `${kind}://me:s3cret@127.0.0.1:${port}/app`
        const { code, out, err } = await cli(['sessions'], { env: { DATABASE_URL: url } })
        expect({ code, out }).toEqual({ code: 1, out: '' })
        expect(err).toMatch(new RegExp(`127.0.0.1:${port} .*(timeout|timed out|ETIMEDOUT)`, 'i'))
      } finally {
        for (const socket of sockets) socket.destroy()
        server.close()
      }
    },
  )
})

describeOn('mysql', 'a wrong password', () => {
  const user = `onbehalf_${process.pid}`
  beforeAll(() => administer('mysql', `create user ${user}@'%' identified by 'right'`))
  afterAll(() => administer('mysql', `drop user ${user}@'%'`))

  it('is told without the password', async () => {
    for (const password of ['s3cret', user]) {
      const url = `mysql://${user}:${password}@127.0.0.1:3306/mysql`
      const { code, out, err } = await spawned(['sessions'], { DATABASE_URL: url })
      expect({ code, out }).toEqual({ code: 1, out: '' })
      expect(err).toMatch(/The login was refused at 127\.0\.0\.1:3306 \(database mysql\)/)
      expect(err).not.toContain(password)
    }
  })
})

describeOn('postgres', 'a login and a database that are not there', () => {
  it('are told without the password', async () => {
    const url = 'postgres://s3cret_user:s3cret@127.0.0.1:5432/postgres'
    const refused = await spawned(['doctor'], { DATABASE_URL: url })
    expect(refused.code).toBe(1)
    expect(refused.out).toMatch(/^fail {2}reachable: The login was refused at 127\.0\.0\.1:5432/)
    expect(refused.out + refused.err).not.toContain('s3cret')
    const nowhere = await cli(['sessions', '--database', 'postgres://postgres@127.0.0.1/none_such'])
    expect(nowhere.err).toContain('There is no such database at 127.0.0.1:5432')
  })

  it('says which command makes tables that are missing', async () => {
    for (const argv of [['sessions'], ['export'], ['revoke', 'x'], ['revoke', '--all', '--yes']]) {
      const database = ['--database', 'postgres://postgres@127.0.0.1/template1']
      const { code, err } = await cli([...argv, ...database])
      expect(code).toBe(1)
      expect(err).toMatch(/tables are not in .*Run onbehalf migrate\./)
    }
  })
})

describe('a password that a driver would tell', () => {
  it.each(['a%40b', 'p%C3%A4ss', 'x'])('is not told: %s', (password) => {
    const address = readUrl(`postgres://me:${password}@h/d`, root)
    const error = new Error(
      `bad url postgres://me:${password}@h and ${decodeURIComponent(password)}`,
    )
    const said = sentenceFor(address)(error).replace(/^.*?: /, '')
    expect(said).not.toContain(password)
    expect(said).not.toContain(decodeURIComponent(password))
    expect(said).toContain('***')
  })
})

describe('a driver that is missing', () => {
  const load = ((name: string) => {
    throw new Fault(`The driver ${name} is not installed here: run npm install ${name}`)
  }) as never

  it.each([
    ['postgres://h/d', 'pg'],
    ['mysql://h/d', 'mysql2'],
  ])('%s', async (url, name) => {
    const opening = openDatabase(url, { folder: root, make: false, load })
    await expect(opening).rejects.toThrow(`run npm install ${name}`)
  })

  it('takes better-sqlite3 where Node has no SQLite, and asks for it where that is missing too', async () => {
    const builtIn = () => Promise.reject(new Error('No such built-in module: node:sqlite'))
    const opened: unknown[] = []
    class Fake {
      constructor(...args: unknown[]) {
        opened.push(args)
      }
    }
    expect(await openSqliteFile('a.db', (() => Fake) as never, builtIn)).toBeInstanceOf(Fake)
    expect(opened).toEqual([['a.db', { timeout: 4000 }]])
    await expect(openSqliteFile('a.db', load, builtIn)).rejects.toThrow(
      'npm install better-sqlite3',
    )
  })
})

describe('a file', () => {
  it('is made by nobody but migrate', async () => {
    for (const argv of commands.slice(0, 5)) {
      const { code, err } = await cli([...argv, '--database', 'sqlite:none/such.db'])
      expect(code).toBe(1)
      expect(err).toMatch(/There is no file .*such\.db\. The command onbehalf migrate makes one\./)
    }
    const { code, err } = await cli(['migrate', '--database', 'sqlite:none/such.db'])
    expect(code).toBe(1)
    expect(err).toMatch(/There is no folder .*none/)
  })

  it('that is none is told as such', async () => {
    const { code, err } = await cli(['sessions', '--database', 'sqlite:package.json'])
    expect(code).toBe(1)
    expect(err).toContain('file is not a database')
  })
})
