import type { AccessLevel, EndedReason, Ending } from '../types.ts'
import { ClientError, isRecord, refusalOf } from './error.ts'
import type { Fetch } from './options.ts'
import { pinHeader } from './outgoing.ts'

/** What the routes answer, in the words of code: camelCase, instants in ms since the epoch. */

export interface TargetUser {
  readonly id: string
  readonly email: string | null
  readonly name: string | null
  readonly orgId: string | null
  readonly role: string | null
}

export interface Started {
  readonly sessionId: string
  readonly targetUser: TargetUser
  readonly accessLevel: AccessLevel
  /** In ms since the epoch, by the server's clock. */
  readonly expiresAt: number
}

export interface StartedByToken extends Started {
  readonly accessToken: string
  /** In seconds from now on. */
  readonly expiresIn: number
}

export interface Stopped {
  readonly sessionId: string
  /** `stopped`, or what had ended it before. */
  readonly endedReason: EndedReason
}

export type Status =
  | {
      readonly isImpersonating: true
      readonly sessionId: string
      readonly targetUserId: string
      readonly targetEmail: string | null
      readonly targetName: string | null
      readonly targetOrgId: string | null
      readonly accessLevel: AccessLevel
      readonly reason: string | null
      readonly breakGlass: boolean
      /** In ms since the epoch, by the server's clock. */
      readonly expiresAt: number
    }
  | {
      readonly isImpersonating: false
      /** The last session that ended by something else than the caller's stop, until they stop or start. */
      readonly lastEnded?: {
        readonly sessionId: string
        readonly status: Ending
        readonly endedReason: EndedReason | null
        /** In ms since the epoch. */
        readonly endedAt: number
      }
    }

/** What came back, in camelCase, and not yet believed. */
type Answer = Readonly<Record<string, unknown>>

export type Read<T> = (answer: Answer) => T | null

export interface Ask<T> {
  readonly url: string
  /** In camelCase; without one it is a GET. */
  readonly body?: object
  readonly pin?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** Null where it is no answer of this route: a page of a proxy, an app that is something else. */
  readonly read: Read<T>
}

/**
 * Calls a route.
 * @throws {ClientError} the server's refusal, or unexpected_answer
 */
export async function ask<T>(send: Fetch, { url, body, pin, signal, read }: Ask<T>): Promise<T> {
  const response = await send(url, {
    method: body ? 'POST' : 'GET',
    headers: {
      Accept: 'application/json',
      ...(body && { 'Content-Type': 'application/json' }),
      ...(pin !== undefined && { [pinHeader]: pin }),
    },
    body: body ? JSON.stringify(toWire(body)) : null,
    signal: signal ?? null,
  })
  const document = parsed(await response.text())
  const answer = response.ok && isRecord(document) ? read(fromWire(document)) : null
  if (answer) return answer
  // What was read goes into no error: there may be a token in it.
  throw (
    refusalOf(response, document) ??
    new ClientError(
      {
        code: 'unexpected_answer',
        status: response.status,
        title: `${url} answered ${response.status} with nothing that is known: look at "baseUrl" and "basePath"`,
      },
      response,
    )
  )
}

export function started(answer: Answer): Started | null {
  const { sessionId, targetUser, accessLevel, expiresAt } = answer as unknown as Started
  return isText(sessionId) && isRecord(targetUser) && isText(accessLevel) && isNumber(expiresAt)
    ? { sessionId, targetUser, accessLevel, expiresAt }
    : null
}

export function startedByToken(answer: Answer): StartedByToken | null {
  const begun = started(answer)
  const { accessToken, expiresIn } = answer
  return begun && isText(accessToken) && isNumber(expiresIn)
    ? { ...begun, accessToken, expiresIn }
    : null
}

export function stopped({ sessionId, endedReason = 'stopped' }: Answer): Stopped | null {
  return isText(sessionId) ? { sessionId, endedReason: endedReason as EndedReason } : null
}

export function extended({ expiresAt }: Answer): { readonly expiresAt: number } | null {
  return isNumber(expiresAt) ? { expiresAt } : null
}

export function status(answer: Answer): Status | null {
  const { isImpersonating, sessionId, expiresAt } = answer
  const holds = isImpersonating
    ? isText(sessionId) && isNumber(expiresAt)
    : isImpersonating === false
  return holds ? (answer as unknown as Status) : null
}

/** Printable, and so fit for a header: one that is not would be quoted by an error. */
const isText = (value: unknown): value is string =>
  typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)

const isNumber = (value: unknown): value is number => Number.isFinite(value)

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function toWire(body: object): object {
  const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  return Object.fromEntries(Object.entries(body).map(([name, value]) => [snake(name), value]))
}

function fromWire(document: object): Answer {
  const camel = (name: string) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase())
  return Object.fromEntries(
    Object.entries(document).map(([name, value]) => [
      camel(name),
      isRecord(value)
        ? fromWire(value)
        : name.endsWith('_at') && typeof value === 'string'
          ? Date.parse(value)
          : value,
    ]),
  )
}
