import type { PeekedBody } from '../src/pipeline/identify.ts'

/** What of Hono's request is needed here. */
interface HonoRequest {
  readonly raw: Request
  readonly bodyCache: Readonly<Record<string, unknown>>
  arrayBuffer(): Promise<ArrayBuffer>
}

/**
 * Looks at the body of a web request and leaves it where it is, be it read by `c.req` or by `c.req.raw`.
 * @param limit how many bytes are read at most
 */
export async function peekWeb(
  request: HonoRequest,
  limit: number,
): Promise<PeekedBody | undefined> {
  const { raw, bodyCache } = request
  try {
    const read = Object.keys(bodyCache)
    if (read.some((form) => /^(?:text|arrayBuffer|blob)$/.test(form)))
      return within(new Uint8Array(await request.arrayBuffer()), limit)
    // Of a form that was read, or of JSON, the bytes are gone.
    const [form] = read
    if (form !== undefined) return { parsed: await bodyCache[form] }
    if (raw.method === 'GET' || raw.method === 'HEAD') return none
    if (Number(raw.headers.get('content-length')) > limit || raw.bodyUsed) return undefined
    // A copy that shares what arrives, because servers take a stream that was read for a body that is gone.
    return await readUpTo(raw.clone().body, limit)
  } catch {
    return undefined
  }
}

const none: PeekedBody = { bytes: new Uint8Array() }

const within = (bytes: Uint8Array, limit: number) => (bytes.length > limit ? undefined : { bytes })

async function readUpTo(
  body: ReadableStream<Uint8Array> | null,
  limit: number,
): Promise<PeekedBody | undefined> {
  if (body === null) return none
  const reader = body.getReader()
  const pieces: Uint8Array[] = []
  let size = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    pieces.push(value)
    size += value.length
    if (size <= limit) continue
    // It is over only once the other copy is, so nobody waits for it.
    reader.cancel().catch(() => {})
    return undefined
  }
  const bytes = new Uint8Array(size)
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return { bytes }
}
