import { isAbsolute, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UsageError } from './faults.ts'

export type Address =
  | {
      readonly kind: 'postgres' | 'mysql'
      readonly url: string
      /** For messages: no user and no password. */
      readonly where: string
      /** What no message may hold. */
      readonly secrets: readonly string[]
    }
  | { readonly kind: 'sqlite'; readonly file: string }

const kinds = {
  postgres: 'postgres',
  postgresql: 'postgres',
  mysql: 'mysql',
  mariadb: 'mysql',
  sqlite: 'sqlite',
  file: 'sqlite',
} as const

/**
 * Reads the URL of a database. No message of it holds any part of the URL: what can't be read may be
 * a password in the wrong place.
 * @throws {UsageError}
 */
export function readUrl(text: string | undefined, folder: string): Address {
  if (text === undefined || text === '')
    throw new UsageError(
      'Say which database: --database <url>, or ONBEHALF_DATABASE_URL or DATABASE_URL in the environment.',
    )
  const scheme = /^([a-z]+):/i.exec(text)?.[1]?.toLowerCase() ?? ''
  if (!Object.hasOwn(kinds, scheme))
    throw new UsageError(
      '--database must begin with postgres://, postgresql://, mysql://, mariadb://, sqlite: or file:.',
    )
  const kind = kinds[scheme as keyof typeof kinds]
  return kind === 'sqlite' ? { kind, file: fileOf(text, scheme, folder) } : serverOf(text, kind)
}

function fileOf(text: string, scheme: string, folder: string): string {
  const [rest = ''] = text.slice(scheme.length + 1).split('?')
  if (rest.includes(':memory:'))
    throw new UsageError('--database must be a file: one in memory is empty and gone at the end.')
  const path =
    scheme === 'file' && rest.startsWith('///') ? pathOf(rest) : rest.replace(/^\/\//, '')
  if (path === '' || path.includes('\0'))
    throw new UsageError('--database must name a file: sqlite:<path>.')
  return isAbsolute(path) ? path : resolve(folder, path)
}

function pathOf(rest: string): string {
  try {
    return fileURLToPath(`file:${rest}`)
  } catch {
    throw new UsageError('--database holds a file: URL that names no file.')
  }
}

function serverOf(text: string, kind: 'postgres' | 'mysql'): Address {
  const url = URL.canParse(text) ? new URL(text) : undefined
  // A raw character of the password moves the borders: what follows would pass for host, port or path.
  if (url?.hash !== '' || url.pathname.includes('@') || url.search.includes('@'))
    throw new UsageError(
      '--database holds a URL that can’t be read. In its password @ : / ? # and % have to be percent-encoded (%40 %3A %2F %3F %23 %25).',
    )
  const { hostname, port, pathname, searchParams } = url
  const host = hostname || searchParams.get('host') || 'localhost'
  const database = pathname.length > 1 ? ` (database ${decoded(pathname.slice(1))})` : ''
  const passwords = [url.password, ...searchParams.getAll('password')].filter(Boolean)
  return {
    kind,
    url: text,
    where: `${host}:${port || (kind === 'postgres' ? 5432 : 3306)}${database}`,
    secrets: [...new Set(passwords.flatMap((one) => [one, decoded(one)]))],
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
