import net from 'node:net'
import type { Line } from './lines.ts'

interface Sent {
  readonly id: number
  readonly line: Line
}

/** The status of each answer by its id; 0 where the connection was closed without one. */
export async function sendAll(
  port: number,
  as: string,
  lines: readonly Sent[],
): Promise<Map<number, number>> {
  const statuses = new Map<number, number>()
  const together = lines.filter(({ line }) => !line.alone)
  const found = await pipeline(port, as, together)
  // Somewhere the connection broke: one by one, it is known where.
  const single = found.length < together.length ? lines : lines.filter(({ line }) => line.alone)
  for (const [index, { id }] of together.entries()) statuses.set(id, found[index] ?? 0)
  for (const one of single) statuses.set(one.id, (await pipeline(port, as, [one]))[0] ?? 0)
  return statuses
}

async function pipeline(port: number, as: string, lines: readonly Sent[]): Promise<number[]> {
  if (lines.length === 0) return []
  const bytes = lines.map((one, index) => bytesOf(as, one, index === lines.length - 1)).join('')
  return statusesIn(await exchange(port, bytes, lines.length))
}

function bytesOf(as: string, { id, line }: Sent, isLast: boolean): string {
  const { method, target, headers, body } = line
  return [
    `${method} ${target} HTTP/1.1`,
    'Host: app.example',
    `Authorization: Bearer ${as}`,
    `X-Line: ${id}`,
    ...headers,
    `Content-Length: ${body.length}`,
    ...(isLast ? ['Connection: close'] : []),
    '',
    body,
  ].join('\r\n')
}

/** No path or body that comes back holds a space after such words. */
const statusesIn = (text: string) =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3}) [A-Z]/g)].map(([, status]) => Number(status))

function exchange(port: number, text: string, answers: number): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = net.connect(port, '127.0.0.1', () => socket.write(text, 'latin1'))
    socket.setEncoding('latin1')
    socket.on('data', (piece: string) => {
      answer += piece
      // Not every connection closes by itself: one that was asked to upgrade does not.
      if (statusesIn(answer).length >= answers) socket.destroy()
    })
    // An answer that never comes is a fault of its own, and is told as one.
    socket.setTimeout(10_000, () => socket.destroy())
    // Node resets connections it can't parse: what has come counts.
    socket.on('error', () => socket.destroy())
    socket.on('close', () => resolve(answer))
  })
}
