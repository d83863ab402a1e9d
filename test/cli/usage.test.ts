import { describe, expect, it } from 'vitest'
import { readUrl } from '../../src/cli/url.ts'
import { cli, root } from './desk.ts'

const none = ['--database', 'sqlite:nowhere.db']

describe('wrong usage is exit 2, and the message names the option and what it wants', () => {
  it.each<[line: string, argv: string[], message: RegExp]>([
    ['no command', [], /Say which command/],
    ['an unknown command', ['constructor'], /no such command/],
    ['an unknown option', ['sessions', '--colour', ...none], /no option --colour/],
    ['a short option', ['sessions', '-x', ...none], /no option -x/],
    ['an option of another command', ['sessions', '--all', ...none], /no option --all/],
    [
      'an option twice',
      ['revoke', '--actor', 'a', '--actor', 'b', ...none],
      /--actor is there twice/,
    ],
    ['a value left out', ['revoke', '--actor'], /--actor wants a value: --actor <id>/],
    ['an empty value', ['revoke', '--actor', '', ...none], /--actor wants a value/],
    ['an option for a value', ['revoke', '--actor', '--yes', ...none], /--actor wants a value/],
    ['a value for a flag', ['revoke', 'x', '--dry-run=no', ...none], /--dry-run takes no value/],
    ['a word too much', ['sessions', 'active', ...none], /an option that begins with --/],
    [
      'a status that is none',
      ['sessions', '--status', 'gone', ...none],
      /--status must be one of active, stopped/,
    ],
    [
      'a limit that is none',
      ['sessions', '--limit', '0', ...none],
      /--limit must be a whole number from 1/,
    ],
    ['a limit too large', ['sessions', '--limit', '1000000', ...none], /--limit must be/],
    [
      'an instant without its zone',
      ['sessions', '--from', '2030-01-01T00:00:00', ...none],
      /--from must be an instant/,
    ],
    ['a day that is none', ['export', '--to', '2030-02-30', ...none], /--to must be an instant/],
    [
      'a span the wrong way round',
      ['export', '--from', '2', '--to', '1', ...none],
      /--from must be before --to/,
    ],
    [
      'an action that is none',
      ['export', '--action', 'impersonation.begun', ...none],
      /--action must be/,
    ],
    ['a prefix of none', ['export', '--action', 'session.*', ...none], /--action must be/],
    [
      'a format that is none',
      ['export', '--format', 'xml', ...none],
      /--format must be one of jsonl, csv, cloudevents/,
    ],
    [
      'a source that is no URI',
      ['export', '--source', 'my app', ...none],
      /--source must be a URI/,
    ],
    ['nothing to revoke', ['revoke', ...none], /Say what to end/],
    ['two ways to say what', ['revoke', 'x', '--all', ...none], /exclude each other/],
    ['all of one actor', ['revoke', '--all', '--actor', 'root', ...none], /exclude each other/],
    ['an empty session id', ['revoke', '', ...none], /session id is empty/],
    [
      'a note too long',
      ['revoke', 'x', '--note', 'x'.repeat(501), ...none],
      /--note must have at most 500/,
    ],
    [
      'an SQL dialect that is none',
      ['migrate', '--sql', 'oracle'],
      /--sql must be one of postgres, mysql, sqlite/,
    ],
    ['SQL and a database', ['migrate', '--sql', 'mysql', ...none], /needs no --database/],
    ['no database', ['doctor'], /--database <url>, or ONBEHALF_DATABASE_URL or DATABASE_URL/],
    [
      'an unknown kind of database',
      ['doctor', '--database', 'mssql://x'],
      /must begin with postgres:\/\//,
    ],
    ['a database in memory', ['doctor', '--database', 'sqlite::memory:'], /must be a file/],
    ['a database without a name', ['doctor', '--database', 'sqlite:'], /must name a file/],
  ])('%s', async (_line, argv, message) => {
    const { code, out, err } = await cli(argv)
    expect(err).toMatch(message)
    expect({ code, out }).toEqual({ code: 2, out: '' })
  })
})

describe('help and version', () => {
  it('tells every command, and of each its options', async () => {
    const { code, out } = await cli(['--help'])
    expect(code).toBe(0)
    const names = [...out.matchAll(/^ {2}(\w+) /gm)].map(([, name]) => name ?? '')
    expect(names).toEqual([
      'migrate',
      'sessions',
      'revoke',
      'export',
      'verify',
      'prune',
      'erase',
      'doctor',
    ])
    for (const name of names) {
      const help = await cli([name, '--help'])
      expect(help.code).toBe(0)
      expect(help.out).toMatch(new RegExp(`^Usage: onbehalf ${name} `))
      expect(help.out).toMatch(/--database <url>[\s\S]*--json[\s\S]*--help[\s\S]*--version/)
      expect((await cli([name, '-h'])).out).toBe(help.out)
    }
  })

  it('tells the version of the package', async () => {
    expect((await cli(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\S*\n$/)
    expect((await cli(['doctor', '--version'])).out).toMatch(/^\d+\.\d+\.\d+\S*\n$/)
  })
})

describe('the URL of a database', () => {
  it.each([
    ['postgres://u:p@h/d', { kind: 'postgres', where: 'h:5432 (database d)', secrets: ['p'] }],
    ['postgresql://h:1/d', { kind: 'postgres', where: 'h:1 (database d)', secrets: [] }],
    [
      'mysql://u:a%40b@h/d',
      { kind: 'mysql', where: 'h:3306 (database d)', secrets: ['a%40b', 'a@b'] },
    ],
    ['mariadb://u:%zz@h', { kind: 'mysql', where: 'h:3306', secrets: ['%zz'] }],
    [
      'postgres:///d?host=%2Frun&password=q',
      { kind: 'postgres', where: '/run:5432 (database d)', secrets: ['q'] },
    ],
    ['sqlite:a.db', { kind: 'sqlite', file: `${root}a.db` }],
    ['sqlite://a.db', { kind: 'sqlite', file: `${root}a.db` }],
    ['sqlite:/a.db', { kind: 'sqlite', file: '/a.db' }],
    ['sqlite:///a.db', { kind: 'sqlite', file: '/a.db' }],
    ['file:./a.db?connection_limit=1', { kind: 'sqlite', file: `${root}a.db` }],
    ['file:///a%20b.db', { kind: 'sqlite', file: '/a b.db' }],
  ])('%s', (url, address) => {
    expect(readUrl(url, root)).toMatchObject(address)
  })

  it.each([
    'postgres://me:s3cret#x@host/db',
    'postgres://me:12#s3cret@host/db',
    'postgres://me:12/s3cret@host/db',
    'postgres://me:12?s3cret@host/db',
    'postgres://me:1@2/s3cret@host/db',
    'mysql://me:s3cret/x@host/db',
    's3cret://me@host',
    'postgres//me:s3cret@host',
  ])('tells no part of %s, which can’t be read', async (url) => {
    const { code, out, err } = await cli(['doctor'], { env: { DATABASE_URL: url } })
    expect(code).toBe(2)
    expect(out + err).not.toMatch(/s3cret|12|me[:@]/)
    expect(err).toMatch(/^onbehalf doctor: --database /)
  })

  it('prefers the option, then ONBEHALF_DATABASE_URL, then DATABASE_URL', async () => {
    const env = { ONBEHALF_DATABASE_URL: 'sqlite:two.db', DATABASE_URL: 'sqlite:three.db' }
    const told = async (argv: string[], env: Record<string, string>) =>
      (await cli(argv, { env })).err.match(/\w+(?=\.db\b)/)?.[0]
    expect(await told(['sessions', '--database', 'sqlite:one.db'], env)).toBe('one')
    expect(await told(['sessions'], env)).toBe('two')
    expect(await told(['sessions'], { DATABASE_URL: 'sqlite:three.db' })).toBe('three')
  })
})
