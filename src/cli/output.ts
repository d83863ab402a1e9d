/** Where text goes. Somebody who stops listening (`| head`) is no fault: the rest goes nowhere. */
export interface Sink {
  write(text: string): Promise<void>
  /** Nobody listens any more. */
  readonly closed: boolean
  readonly isTTY: boolean
}

export function sinkOf(stream: NodeJS.WritableStream & { readonly isTTY?: boolean }): Sink {
  let closed = false
  // A write that fails tells it to its callback too; without a listener it would end the process.
  stream.on('error', () => {})
  return {
    isTTY: stream.isTTY === true,
    get closed() {
      return closed
    },
    write: (text) =>
      new Promise((resolve, reject) => {
        if (closed) return resolve()
        stream.write(text, (error?: (Error & { code?: string }) | null) => {
          if (!error) return resolve()
          if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') return reject(error)
          closed = true
          resolve()
        })
      }),
  }
}

/** What is not seen, or moves, hides, colours or reorders what is. */
const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu

/**
 * Text of the data as a terminal may show it: on one line, and nothing in it is a command to the
 * terminal. What was there is written as an escape, so that `root` and `root` with something
 * invisible in it look different.
 */
export function harmless(text: string): string {
  return text.replace(unseen, (char) => {
    const named = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[char]
    return named ?? `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`
  })
}

const longestCell = 48

/** Rows under their headings, aligned. Long cells are cut, but never those of the first column: ids to copy. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, ...rows.map((row) => row.map((cell, n) => cellOf(cell, n > 0)))]
  const widths = headings.map((_, n) => Math.max(...lines.map((line) => widthOf(line[n] ?? ''))))
  return lines
    .map((line) => line.map((cell, n) => padded(cell, widths[n] ?? 0)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}

function cellOf(text: string, mayCut: boolean): string {
  const safe = harmless(text)
  if (!mayCut || widthOf(safe) <= longestCell) return safe
  let cut = ''
  let width = 0
  for (const char of safe) {
    width += widthOf(char)
    if (width >= longestCell) break
    cut += char
  }
  return `${cut}…`
}

const padded = (cell: string, width: number) => cell + ' '.repeat(width - widthOf(cell))

const wide =
  /[\p{Emoji_Presentation}\u1100-\u115F\u2E80-\u303E\u3041-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\u{20000}-\u{3FFFD}]/u

/** In columns of a terminal. */
function widthOf(text: string): number {
  let width = 0
  for (const char of text) width += /\p{M}/u.test(char) ? 0 : wide.test(char) ? 2 : 1
  return width
}

export const instant = (at: number): string => new Date(at).toISOString()

/** `1 session`, `12,000 sessions`. */
export const count = (n: number, what: string): string =>
  `${n.toLocaleString('en-US')} ${what}${n === 1 ? '' : 's'}`
