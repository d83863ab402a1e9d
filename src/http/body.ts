import { ImpersonationError } from '../errors.ts'

const mostBytes = 64 * 1024

/** How much of a body that is too large is read and thrown away, so that the client gets to see the answer. */
const patienceBytes = 16 * 1024 * 1024

/**
 * The JSON body of a request; undefined when there is none.
 * @throws {ImpersonationError} payload_too_large, unsupported_media_type, invalid_request
 */
export async function readJson(request: Request): Promise<unknown> {
  const bytes = await readBytes(request)
  if (bytes === null || bytes.length === 0) return undefined
  if (!isJson(request.headers.get('content-type'))) {
    throw new ImpersonationError('unsupported_media_type', {
      headers: { Accept: 'application/json' },
    })
  }
  return parse(decode(bytes))
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw malformed('is not valid JSON')
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw malformed('could not be read as UTF-8')
  }
}

async function readBytes({ body, headers }: Request): Promise<Uint8Array | null> {
  if (!body) return null
  const kept: Uint8Array[] = []
  let tooLarge = Number(headers.get('content-length') ?? 0) > mostBytes
  let size = 0
  const reader = body.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      size += value.byteLength
      tooLarge ||= size > mostBytes
      if (!tooLarge) kept.push(value)
      else if (size > patienceBytes) break
    }
  } catch {
    throw malformed('could not be read')
  }
  if (size > patienceBytes) await reader.cancel().catch(() => undefined)
  if (tooLarge) throw new ImpersonationError('payload_too_large')
  return joined(kept, size)
}

function joined(pieces: readonly Uint8Array[], size: number): Uint8Array {
  if (pieces.length === 1 && pieces[0]) return pieces[0]
  const all = new Uint8Array(size)
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.byteLength
  }
  return all
}

function isJson(type: string | null): boolean {
  return /^application\/json\s*(;|$)/i.test(type?.trim() ?? '')
}

function malformed(message: string): ImpersonationError {
  return new ImpersonationError('invalid_request', { errors: [{ path: 'body', message }] })
}
