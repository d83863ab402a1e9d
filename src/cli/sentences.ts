import { Fault } from './faults.ts'
import type { Address } from './url.ts'

/** Whether a statement failed for want of a table. */
export function isMissingTable(error: unknown): boolean {
  const { code, errno, message } = error as { code?: unknown; errno?: unknown; message?: unknown }
  return code === '42P01' || errno === 1146 || /^no such table/.test(String(message))
}

/**
 * Gives what makes a sentence of an error of the driver: what happened, where, and what the driver said,
 * without the password of the URL.
 */
export function sentenceFor(address: Address): (error: unknown) => string {
  const where = address.kind === 'sqlite' ? address.file : address.where
  const secrets = address.kind === 'sqlite' ? [] : address.secrets

  function withoutSecrets(text: string): string {
    return secrets.reduce((clean, secret) => clean.replaceAll(secret, '***'), text)
  }

  return function sentence(error) {
    if (error instanceof Fault) return error.message
    if (isMissingTable(error))
      return `The impersonation tables are not in ${where}, or not all of them. Run onbehalf migrate.`
    const { code, message } = told(error)
    const [, finding] = findings.find(([codes]) => codes.includes(code)) ?? []
    return `${finding ? finding(where) : `${where} answered with an error`}: ${withoutSecrets(message)}`
  }
}

/** Where a name has several addresses, Node tells of each attempt in an error without words. */
function told(error: unknown): { readonly code: string; readonly message: string } {
  const first = error instanceof AggregateError ? (error.errors[0] ?? error) : error
  const { code, message } = (first ?? {}) as { code?: unknown; message?: unknown }
  return { code: String(code), message: String(message ?? first) }
}

type Finding = (where: string) => string

const unreachable: Finding = (where) => `Nobody answers at ${where}`
const refused: Finding = (where) => `The login was refused at ${where}`
const unknown: Finding = (where) => `There is no such database at ${where}`

const findings: readonly (readonly [codes: readonly string[], finding: Finding])[] = [
  [['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH'], unreachable],
  [['ENOTFOUND', 'EAI_AGAIN', 'PROTOCOL_CONNECTION_LOST', 'ENOENT'], unreachable],
  [['28P01', '28000', 'ER_ACCESS_DENIED_ERROR', 'ER_ACCESS_DENIED_NO_PASSWORD_ERROR'], refused],
  [['3D000', 'ER_BAD_DB_ERROR', 'ER_DBACCESS_DENIED_ERROR'], unknown],
]
