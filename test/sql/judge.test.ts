import { describe, expect, it } from 'vitest'
import { ownFunctions } from '../../src/sql/calls.ts'
import { type SqlDialect, sqlDialects } from '../../src/sql/lexer.ts'
import { fragmentReads, onlyReads } from '../../src/sql/verdict.ts'
import { attacks } from './attacks.ts'
import { otherReads, postgresReads } from './reads.ts'

const none = ownFunctions([])
const judge = (text: string, dialect?: SqlDialect, functions: readonly string[] = []) =>
  onlyReads(text, { dialect, functions: ownFunctions(functions) })

describe('a statement of an unknown dialect', () => {
  it.each(attacks)('%j is refused', (text) => {
    expect(judge(text)).toEqual(expect.any(String))
  })

  it.each([...postgresReads, ...otherReads])('%j is a read', (text) => {
    expect(judge(text)).toBe(null)
  })

  it('is refused in any case and with any white space', () => {
    for (const text of attacks.filter((attack) =>
      /^(insert|update|delete|truncate|create|alter|drop|grant|merge|replace|call|copy|lock) [\w ]+$/.test(
        attack,
      ),
    )) {
      expect(judge(text.toUpperCase()), text).not.toBe(null)
      expect(judge(text.replaceAll(' ', '\n\t/**/')), text).not.toBe(null)
      expect(judge(`/**/(${text})`), text).not.toBe(null)
      expect(judge(`with x as (${text}) select 1`), text).not.toBe(null)
    }
  })

  it('is named in few words that repeat nothing but a bare name', () => {
    expect(judge('delete from secret where a = 1')).toBe('delete')
    expect(judge('select 1; select 2')).toBe('several statements')
    expect(judge("select wipe('secret')")).toBe('a call of wipe()')
    expect(judge('select app.wipe()')).toBe('a call of app.wipe()')
    for (const text of ['select "secret 7"()', `select ${'x'.repeat(64)}()`])
      expect(judge(text)).toBe('a call of a function')
    for (const text of attacks) expect(judge(text)).toMatch(/^[\w ().:]{1,80}$/)
  })
})

describe('a known dialect', () => {
  const lines: [text: string, postgres: boolean, mysql: boolean, sqlite: boolean][] = [
    ["select data #>> '{a}' from notes", true, true, false],
    ["select data #- '{a}' from notes", true, true, false],
    ['select 1 # a word\n from notes', true, true, false],
    ['select 1 # it is\n, 2', true, true, false],
    ["select 1 # it's\n, 2", false, true, false],
    ['select 1 #\n, delete', false, false, false],
    ['select 1 # delete', false, true, false],
    ["select '\\' ", false, false, true],
    ["select '\\', '; delete from notes; -- '", false, false, true],
    ["select * from notes where body like '%\\%' escape '\\'", false, false, true],
    ['select 1 --a comment', true, false, true],
    ['select 1--1', true, false, true],
    ['select `größe` from notes', false, true, true],
    ['select `a` from notes', false, true, true],
    ['select $body, $1 from notes', false, false, true],
    ['select $body$ from notes', false, false, false],
    ['select $1$ from notes', false, false, false],
    ['pragma table_info(notes)', false, true, true],
    ["select (array['a]'])[1]", true, true, false],
    ["select (array[1:lower(' ]')])", true, true, false],
  ]

  it.each(lines)('%j', (text, ...wanted) => {
    expect(sqlDialects.map((dialect) => judge(text, dialect) === null)).toEqual(wanted)
    // Not knowing is as strict as all of them together.
    if (wanted.includes(false) && !text.startsWith('pragma')) {
      const refused = judge(text) !== null || wanted.join() === 'false,true,true'
      expect(refused).toBe(true)
    }
  })

  it.each(sqlDialects)('%s refuses the attacks all the same', (dialect) => {
    // The others are plain reads, or nothing at all, where there is no doubt how they are read.
    const harmless =
      /^(select 1--1\n|select 1 #|# \n|select \$a|.*\\|.*`|select 1 --|select :a|select :lower|select @a\(|select \[ )/
    for (const text of attacks.filter((attack) => !harmless.test(attack)))
      expect(judge(text, dialect), text).not.toBe(null)
  })
})

describe('functions', () => {
  it('of the host are told by their names as statements write them', () => {
    const own = ['slugify', 'App.Total', 'app.sum']
    for (const text of [
      'select slugify(body)',
      'select SLUGIFY (body)',
      'select "slugify"(body)',
      'select app.total(1)',
      'select "App"."Total"(1)',
      'select app . sum(1)',
    ])
      expect(judge(text, undefined, own), text).toBe(null)
    for (const text of [
      'select app.slugify(body)',
      'select "Slugify"(body)',
      'select total_(1)',
      'select sum_(1)',
      'select other.sum(1)',
      'select app.sum.x(1)',
    ])
      expect(judge(text, undefined, own), text).not.toBe(null)
  })

  it('of Postgres may be called by their full names', () => {
    expect(judge('select pg_catalog.lower(body)')).toBe(null)
    expect(judge('select "pg_catalog".lower(body)')).not.toBe(null)
    expect(judge('select pg_catalog.in(1)')).not.toBe(null)
  })

  it('are those of the dialect, where it is known', () => {
    for (const [text, ...dialects] of [
      ['select group_concat(body) from notes', 'mysql', 'sqlite'],
      ['select string_agg(body, 1) from notes', 'postgres', 'sqlite'],
      ['select field(1, 2)', 'mysql'],
      ['select unixepoch()', 'sqlite'],
      ['select lower(body) from notes', 'postgres', 'mysql', 'sqlite'],
    ]) {
      expect(sqlDialects.filter((dialect) => judge(text as string, dialect) === null)).toEqual(
        dialects,
      )
      expect(judge(text as string)).toBe(null)
    }
  })

  it('no name of an object of JavaScript is one', () => {
    for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty', 'valueOf'])
      expect(judge(`select ${name}(1)`), name).not.toBe(null)
  })
})

describe('a fragment', () => {
  const fragment = (text: string) => fragmentReads(text, { functions: none })

  it.each(['lower(\ue000)', '\ue000::text', '', '(1, 2)', 'a = \ue000 and b in (\ue000, \ue000)'])(
    '%j reads',
    (text) => expect(fragment(text)).toBe(null),
  )

  it.each([
    '1; delete from notes',
    '1;',
    ') select 1 (',
    '(1',
    '1)',
    "'open",
    '1 -- x',
    '1 /* x */',
    '/* x',
    'delete from notes',
    'wipe(1)',
    'del\ue000',
    '\ue000ete',
    "'\ue000'",
    '"\ue000"',
    '\ue000\ue000',
    '-\ue000',
    '/\ue000',
    '\ue000(1)',
    'app.\ue000(1)',
    '\ue000.lower(1)',
    'u&\ue000',
    'E\ue000',
    '$\ue000',
    '\ue000$',
    '1\0',
  ])('%j does not', (text) => expect(fragment(text)).not.toBe(null))
})

it('a long statement takes no long time', () => {
  const values = Array.from({ length: 100_000 }, (_, n) => `(${n}, 'a''b')`).join(', ')
  expect(judge(`select * from (values ${values}) as v(a, b) /* ${'* '.repeat(1e5)} */`)).toBe(null)
  expect(judge(`select ${'('.repeat(1e5)}1${')'.repeat(1e5)}`)).toBe(null)
  expect(judge(`with ${'a.'.repeat(1e4)}f(${'a,'.repeat(1e4)} a) as (select 1) select 1`)).not.toBe(
    null,
  )
})
