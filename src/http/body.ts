import { ImpersonationError } from '../errors.ts'

const mostBytes = 64 * 1024

/**
 * The JSON body of a request; undefined when there is none.
 * @throws {ImpersonationError} payload_too_large, unsupported_media_type, invalid_request
 */
export async function readJson(request: Request): Promise<unknown> {
  if (Number(request.headers.get('content-length') ?? 0) > mostBytes)
    throw new ImpersonationError('payload_too_large')
  const text = await readText(request)
  if (text === '') return undefined
  if (!isJson(request.headers.get('content-type'))) {
    throw new ImpersonationError('unsupported_media_type', {
      headers: { Accept: 'application/json' },
    })
  }
  try {
    return JSON.parse(text)
  } catch {
    throw malformed('is not valid JSON')
  }
}

async function readText(request: Request): Promise<string> {
  if (!request.body) return ''
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let bytes = 0
  let text = ''
  const reader = request.body.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      bytes += value.byteLength
      if (bytes > mostBytes) throw new ImpersonationError('payload_too_large')
      text += decoder.decode(value, { stream: true })
    }
    return text + decoder.decode()
  } catch (error) {
    await reader.cancel().catch(() => undefined)
    throw error instanceof ImpersonationError ? error : malformed('could not be read as UTF-8')
  }
}

function isJson(type: string | null): boolean {
  return /^application\/json\s*(;|$)/i.test(type?.trim() ?? '')
}

function malformed(message: string): ImpersonationError {
  return new ImpersonationError('invalid_request', { errors: [{ path: 'body', message }] })
}
