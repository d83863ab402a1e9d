import type { IncomingMessage } from 'node:http'
import type { PeekedBody } from '../src/pipeline/identify.ts'

/**
 * Looks at the body of a Node request and leaves it where it is.
 *
 * All of it is read in paused mode and put back before the stream has said that it is over. Nothing is
 * announced to anybody but us meanwhile, so whoever reads next (a body parser, a pipe, a loop) finds
 * what they would have found: every byte, one 'end', and a stream that nobody has set flowing.
 */

type Peek = Promise<PeekedBody | undefined>

/** A request may be asked about twice; the second time its stream looks as if somebody had read it. */
const peeks = new WeakMap<IncomingMessage, Peek>()

/**
 * @param parsed what a parser of the app has made of the body, where one ran
 * @param limit how many bytes are read at most
 */
export function peekNode(request: IncomingMessage, parsed: unknown, limit: number): Peek {
  let peek = peeks.get(request)
  if (!peek) {
    peek = look(request, parsed, limit)
    peeks.set(request, peek)
  }
  return peek
}

async function look(request: IncomingMessage, parsed: unknown, limit: number): Peek {
  // Express 4 puts an empty record in the place of what it has not read, so bytes come before it.
  if (isUnread(request)) return readAhead(request, limit)
  if (request.readableEnded && !request.readableDidRead) return none
  return parsed === undefined || isPlaceholder(request, parsed) ? undefined : { parsed }
}

const none: PeekedBody = { bytes: new Uint8Array() }

function isUnread(request: IncomingMessage): boolean {
  return (
    !request.readableDidRead &&
    !request.readableEnded &&
    !request.destroyed &&
    // Somebody is about to read, or to read text, of which the bytes can't be told.
    request.readableFlowing !== true &&
    request.readableEncoding === null &&
    request.listenerCount('data') + request.listenerCount('readable') === 0
  )
}

/** What Express 4 leaves as the body of a type that it does not parse. */
function isPlaceholder(request: IncomingMessage, parsed: unknown): boolean {
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return false
  if (Object.keys(parsed).length > 0 || (request as { _body?: true })._body === true) return false
  const length = request.headers['content-length']
  return length === undefined || Number(length) > '{}'.length
}

function readAhead(request: IncomingMessage, limit: number): Peek {
  // Left untouched, Node throws it away by itself.
  if (Number(request.headers['content-length']) > limit) return Promise.resolve(undefined)
  const pieces: Buffer[] = []
  let size = 0

  return new Promise((resolve) => {
    // By then a body that came with the headers is there, and its end too: an end without any bytes must
    // not be waited for, since asking for more of nothing makes the stream announce it.
    process.nextTick(() => {
      if (!isUnread(request)) return resolve(undefined)
      if (hasEnded(request) && request.readableLength === 0) return resolve(none)
      request.on('readable', read)
      request.on('error', giveUp)
      request.on('close', giveUp)
    })

    function read(): void {
      // Exactly what is there: to ask for more at its end would make the stream announce the end.
      while (request.readableLength > 0 && size <= limit) {
        const piece: Buffer | null = request.read(request.readableLength)
        if (piece === null) break
        pieces.push(piece)
        size += piece.length
      }
      if (size > limit) putBack(undefined)
      else if (hasEnded(request)) putBack({ bytes: Buffer.concat(pieces) })
    }

    function putBack(peeked: PeekedBody | undefined): void {
      stop()
      if (size > 0) request.unshift(Buffer.concat(pieces))
      forget(request)
      // One tick later the stream has noticed that nobody listens.
      process.nextTick(resolve, peeked)
    }

    /** The sender is gone. */
    function giveUp(): void {
      stop()
      resolve(undefined)
    }

    function stop(): void {
      request.off('readable', read)
      request.off('error', giveUp)
      request.off('close', giveUp)
    }
  })
}

/** Whether all has arrived, though nobody has read it: no public property tells. */
function hasEnded(request: IncomingMessage): boolean {
  return (request as never as { _readableState: { ended: boolean } })._readableState.ended
}

/** Node drains what a handler leaves, so that the connection can go on, but only where nobody has begun to read. */
function forget(request: IncomingMessage & { _consuming?: boolean }): void {
  if (request._consuming) request._consuming = false
}
