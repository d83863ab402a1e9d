import { describe, expect, it } from 'vitest'
import { guardPool, guardSql } from '../../src/sql/index.ts'
import { levels, outcomeOf } from './levels.ts'

const write = "insert into notes (body) values ('x')"
const read = 'select count(*)::int as n from notes'

describe('the options', () => {
  it.each([
    [{ dialect: 'oracle' }, '"dialect" must be one of postgres, mysql, sqlite.'],
    [{ readFunctions: 'slugify' }, '"readFunctions" must be a list of names of functions.'],
    [{ readFunctions: [''] }, '"readFunctions" must be a list of names of functions.'],
    [{ readFunctions: [7] }, '"readFunctions" must be a list of names of functions.'],
    [{ outside: true }, '"outside" must be the symbol allowOutsideRequests of onbehalf/sql.'],
    [{ outside: Symbol('onbehalf.allowOutsideRequests') }, '"outside" must be the symbol'],
    [null, '"options" must be an object.'],
  ])('%o: %s', async (options, message) => {
    const { engine } = await levels()
    expect(() => guardSql(engine, options as never)).toThrow(message)
    expect(() => guardSql(engine, options as never)).toThrow(TypeError)
  })

  it('the engine and the pool have to be what they are', async () => {
    const { engine } = await levels()
    for (const wrong of [undefined, null, {}, { tryCurrent: () => null }])
      expect(() => guardSql(wrong as never)).toThrow('"impersonation" must be')
    for (const wrong of [undefined, null, {}])
      expect(() => guardPool(wrong as never, engine)).toThrow('"pool" must be')
  })
})

describe('guardSql', () => {
  it('looks at nothing unless the context is view or unknown', async () => {
    const { engine, view, interactive, full, free } = await levels()
    const check = guardSql(engine)
    const untouchable = new Proxy({} as never, {
      get: () => {
        throw new Error('looked at')
      },
    })
    for (const run of [interactive, full, free])
      expect(run(() => check(untouchable))).toBe(undefined)
    expect(await outcomeOf(() => view(() => check(untouchable)))).toBe('grant_view_only')
  })

  it('remembers a verdict, not a context', async () => {
    const { engine, view, full } = await levels()
    const check = guardSql(engine, { readFunctions: ['slugify'] })
    for (let times = 0; times < 3; times++) {
      expect(await outcomeOf(() => view(() => check(write)))).toBe('grant_view_only')
      expect(await outcomeOf(() => full(() => check(write)))).toBe('done')
      expect(await outcomeOf(() => view(() => check(read)))).toBe('done')
      expect(await outcomeOf(() => view(() => check('select slugify(1)')))).toBe('done')
      expect(await outcomeOf(() => check(write))).toMatch(/context is not known/)
    }
  })

  it('judges by its own options, not by those of another guard', async () => {
    const { engine, view } = await levels()
    const ours = guardSql(engine, { readFunctions: ['slugify'] })
    const theirs = guardSql(engine)
    expect(await outcomeOf(() => view(() => ours('select slugify(1)')))).toBe('done')
    expect(await outcomeOf(() => view(() => theirs('select slugify(1)')))).toBe('grant_view_only')
  })

  it('a very long statement is judged each time, and right', async () => {
    const { engine, view } = await levels()
    const check = guardSql(engine)
    const long = `select * from notes where id in (${'1, '.repeat(9_000)}1)`
    for (let times = 0; times < 2; times++) {
      expect(await outcomeOf(() => view(() => check(long)))).toBe('done')
      expect(await outcomeOf(() => view(() => check(`${long}; delete from notes`)))).toBe(
        'grant_view_only',
      )
    }
  })
})
