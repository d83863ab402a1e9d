/** Random numbers that are the same in every run. */
export function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/**
 * Statements that mostly are valid, with writes wherever Postgres takes one, and then spoilt here and
 * there: another case, comments, quotes, a piece too many or too few.
 */
export function statementsOf(random: () => number): () => string {
  const pick = <T>(...all: readonly T[]): T => all[Math.floor(random() * all.length)] as T
  const maybe = (chance: number, text: () => string) => (random() < chance ? text() : '')
  let depth = 0
  const nested = (make: () => string, leaf: string) => {
    if (depth > 3) return leaf
    depth++
    const made = make()
    depth--
    return made
  }

  const name = () =>
    pick('id', 'body', 'n.id', '"n"."body"', 'n.comment', 'n.set', '"delete"', 'comment')
  const literal = () =>
    pick(
      '1',
      '2.5',
      "'x'",
      "'it''s; delete from notes'",
      'null',
      'true',
      "'\\'",
      "E'\\''",
      '$$a$$',
      "U&'a'",
    )
  const called = () =>
    pick(
      ...['lower', 'count', 'coalesce', 'now', 'max', 'jsonb_build_array', 'pg_catalog.length'],
      ...['nextval', 'setval', 'write_note', 'public.write_note', '"write_note"', 'write_note '],
      ...['write_note/**/', 'write_note --\n', 'lo_create', 'txid_current', 'pg_notify'],
      ...['filter', 'over', 'any', 'array', 'row', 'materialized', 'values', 'exists', 'Lower'],
    )
  const call = () =>
    pick(
      () => `${called()}(${maybe(0.8, expression)}${maybe(0.3, () => `, ${expression()}`)})`,
      () => pick('write_note(1)', "nextval('s')", "setval('s', 1)", 'now()', 'count(*)'),
    )()
  const expression = (): string =>
    nested(
      () =>
        pick(
          name,
          literal,
          call,
          call,
          () => `(${query()})`,
          () =>
            `${expression()} ${pick('+', '=', '||', '<>', 'is distinct from', 'and', '#', '`', '@@')} ${expression()}`,
          () => `case when ${expression()} then ${expression()} end`,
          () => `${expression()}::${pick('text', 'int', 'varchar(9)', 'write_note(1)')}`,
          () => `array[${expression()}]`,
          () => `(${expression()})`,
          () => `exists (${query()})`,
          () => `n.${pick('delete', 'write', 'id')}`,
          () => `count(*) filter (where ${expression()})`,
          () => `sum(n.id) over (order by ${expression()})`,
        )(),
      '1',
    )
  const write = (): string =>
    pick(
      () => `delete from notes${maybe(0.5, () => ' returning *')}`,
      () => `update notes set body = 'x'${maybe(0.5, () => ' returning id')}`,
      () => `insert into notes (body) values ('x')${maybe(0.5, () => ' returning id')}`,
      () => 'select * into other from notes',
      () => 'create table other as select 1 as id',
      () => 'truncate notes',
      () => 'copy notes from stdin',
      () => 'call p()',
      () => "do $$ begin insert into notes (body) values ('x'); end $$",
      () => "do 'begin delete from notes; end'",
      () => 'refresh materialized view v',
      () => 'merge into notes n using users u on true when matched then delete',
      () => 'lock table notes in exclusive mode',
      () => 'drop table users',
      () => 'analyze notes',
      () => 'comment on table notes is null',
    )()
  const source = () =>
    pick(
      () => 'notes n',
      () => `(${query()}) as n(id, body)`,
      () => 'x as n',
      () => 'lateral write_note(1) as n(id)',
      () => `generate_series(1, 2) as n(id)`,
      () => `(values (1, ${expression()})) as n(id, body)`,
    )()
  const select = () =>
    `select ${maybe(0.1, () => 'distinct on (n.id) ')}${expression()}${maybe(0.4, () => `, ${expression()} as a`)}` +
    `${maybe(0.1, () => ' into other')} from ${source()}${maybe(0.4, () => ` where ${expression()}`)}` +
    `${maybe(0.2, () => ` order by ${expression()}`)}${maybe(0.2, () => ' limit 1')}` +
    maybe(0.15, () =>
      pick(' for update', ' for share', ' for no key update of n', ' for key share'),
    )
  const query = (): string =>
    nested(
      () =>
        pick(
          select,
          select,
          select,
          () =>
            `with ${maybe(0.2, () => 'recursive ')}x${maybe(0.5, () => '(id, body)')} as ${pick('', '', 'materialized ', 'not materialized ')}(${pick(query, query, write)()}) ${pick(query, query, write)()}`,
          () => `${query()} union all ${query()}`,
          () => `(${query()})`,
          () => 'table notes',
          () => `values (${expression()})`,
        )(),
      'select 1',
    )
  const statement = () =>
    pick(
      query,
      query,
      query,
      write,
      () => `explain ${pick('', 'analyze ', '(analyze) ', 'verbose ')}${pick(query, write)()}`,
      () => `${query()}; ${pick(query, write)()}`,
      () =>
        pick(
          'begin',
          'commit',
          'rollback',
          'start transaction',
          'savepoint a',
          'set transaction read only',
          'show all',
        ),
    )()

  const noise = () =>
    pick(
      '/**/',
      ' -- x\n',
      '\n',
      ';',
      "'",
      '"',
      '(',
      ')',
      '/* /* */',
      '/*! delete */',
      '$$',
      '\\',
      '\t',
      '--',
      ',',
      ' as ',
      '.',
      '::',
      '`',
      '#',
      '[',
      ']',
      'U&',
      'E',
      '\u00a0',
    )
  return () => {
    let text = statement()
    if (random() < 0.2) text = text.toUpperCase()
    while (random() < 0.35) {
      const at = Math.floor(random() * (text.length + 1))
      const cut = random() < 0.3 ? Math.floor(random() * 4) : 0
      text = text.slice(0, at) + (random() < 0.7 ? noise() : '') + text.slice(at + cut)
    }
    return text
  }
}
