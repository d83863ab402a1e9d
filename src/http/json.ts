import type { Page, Place } from '../stores/store.ts'
import { readCursor, writeCursor } from './wire.ts'

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      'Content-Type': 'application/json; charset=utf-8',
      'Cache-Control': 'no-store, private',
      ...headers,
    },
  })
}

/** No line of any format. */
const incomplete = '\n!!! THIS FILE IS INCOMPLETE: reading failed. Export it again.\n'

/** A file, sent as it is made: however large it is, it takes the memory of one piece. */
export function download(
  pieces: AsyncIterable<string>,
  contentType: string,
  name: string,
): Response {
  const iterator = pieces[Symbol.asyncIterator]()
  const encoder = new TextEncoder()
  let fault: { readonly error: unknown } | undefined
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (fault) return controller.error(fault.error)
      try {
        const { done, value } = await iterator.next()
        if (done) controller.close()
        else controller.enqueue(encoder.encode(value))
      } catch (error) {
        // Some servers end an answer that fails in the middle as if it were whole: it says so itself.
        fault = { error }
        controller.enqueue(encoder.encode(incomplete))
      }
    },
    async cancel() {
      await iterator.return?.()
    },
  })
  return new Response(body, {
    headers: {
      'Content-Type': contentType,
      'Content-Disposition': `attachment; filename="${name}"`,
      'Cache-Control': 'no-store, private',
      'X-Content-Type-Options': 'nosniff',
    },
  })
}

/** What every list takes. */
interface Asked {
  readonly limit?: string | undefined
  readonly cursor?: string | undefined
}

/** A page of a list, and where the next one begins. */
export async function listed<T>(
  { limit: most, cursor }: Asked,
  find: (page: Page) => Promise<T[]>,
  place: (row: T) => Place,
  toWire: (row: T) => unknown,
): Promise<Response> {
  const limit = Number(most ?? 50)
  const before = cursor === undefined ? undefined : readCursor(cursor)
  // One more than asked for tells whether there is a next page.
  const found = await find({ limit: limit + 1, before })
  const items = found.slice(0, limit)
  const last = items.at(-1)
  const next = found.length > limit && last ? writeCursor(place(last)) : null
  return json({ items: items.map(toWire), next_cursor: next })
}
