import { type Dialect, dialects } from '../stores/kysely/dialect.ts'
import { migrate, migrationSql, schemaVersion } from '../stores/kysely/migrations.ts'
import { oneOf, refuseWords } from './args.ts'
import type { Command } from './command.ts'
import { exits, UsageError } from './faults.ts'
import { storedVersion } from './version.ts'

export const migrateCommand: Command<{ readonly sql?: Dialect | undefined }> = {
  usage: '[--database <url>] | --sql <dialect>',
  about: 'Makes the tables, or brings them up to date. Running it twice does no harm.',
  options: {
    sql: { value: dialects.join('|'), help: 'print the statements instead of running them' },
  },
  opening: 'made',

  read(given) {
    refuseWords(given)
    const sql = oneOf(given, 'sql', dialects)
    if (sql !== undefined && given.has('database'))
      throw new UsageError('--sql prints the statements and needs no --database.')
    return { sql }
  },

  alone({ sql }, out) {
    if (sql === undefined) return undefined
    return out.write(migrationSql(sql)).then(() => exits.done)
  },

  async run({ db, dialect, out, json }) {
    const from = await storedVersion(db)
    await migrate(db, { dialect })
    const version = Math.max(from, schemaVersion)
    const told =
      from >= schemaVersion
        ? `The impersonation tables are at version ${version} already.`
        : `The impersonation tables are at version ${version} now${from > 0 ? `, before at ${from}` : ''}.`
    await out.write(json ? `${JSON.stringify({ version, from })}\n` : `${told}\n`)
    return exits.done
  },
}
