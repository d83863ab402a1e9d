import { type FormatName, formatNames, formatOf } from '../audit/formats.ts'
import type { EventFilter } from '../stores/store.ts'
import { eventActions } from '../types.ts'
import { type Given, oneOf, refuseWords, spanOf } from './args.ts'
import type { Command } from './command.ts'
import { exits, UsageError } from './faults.ts'
import { writeWhole } from './file.ts'
import { count } from './output.ts'
import { eventPagesOf } from './pages.ts'
import { progressOn } from './progress.ts'

interface Args {
  readonly filter: EventFilter
  readonly format: FormatName
  readonly file: string | undefined
  readonly source: string
  readonly quiet: boolean
}

export const exportCommand: Command<Args> = {
  usage: '[options]',
  about: 'Writes audit events, newest first, to a file or the standard output.',
  options: {
    format: { value: 'format', help: `${formatNames.join(', ')}; default jsonl` },
    out: { value: 'file', help: 'a file, which is there when all is written' },
    action: { value: 'action', help: 'such as impersonation.started, or impersonation.*' },
    actor: { value: 'id', help: 'of this actor' },
    target: { value: 'id', help: 'of this target' },
    session: { value: 'id', help: 'of this session' },
    from: { value: 'instant', help: 'at or after: ISO 8601, or ms since the epoch' },
    to: { value: 'instant', help: 'before' },
    source: { value: 'uri', help: 'who speaks, for cloudevents; default urn:onbehalf:audit' },
    quiet: { help: 'show no progress' },
  },

  read(given) {
    refuseWords(given)
    return {
      filter: filterOf(given),
      format: oneOf(given, 'format', formatNames) ?? 'jsonl',
      file: given.text('out'),
      source: sourceOf(given),
      quiet: given.has('quiet'),
    }
  },

  async run({ store, out, err, json }, { filter, format: name, file, source, quiet }) {
    const format = formatOf(name, source)
    const progress = progressOn(err, !quiet && (file !== undefined || !out.isTTY), 'event')
    let events = 0

    async function fill(write: (text: string) => Promise<void>): Promise<void> {
      await write(format.head)
      for await (const page of eventPagesOf(store, filter)) {
        await write(page.map(format.line).join(''))
        events += page.length
        if (file === undefined && out.closed) return
        await progress.at(events)
      }
    }

    try {
      await (file === undefined ? fill((text) => out.write(text)) : writeWhole(file, fill))
    } finally {
      await progress.end()
    }
    if (file !== undefined && json)
      await out.write(`${JSON.stringify({ events, format: name, file })}\n`)
    else if (file !== undefined && !quiet) await err.write(`${count(events, 'event')} written.\n`)
    return exits.done
  },
}

function filterOf(given: Given): EventFilter {
  const action = given.text('action')
  if (action !== undefined && !isAction(action))
    throw new UsageError(
      `--action must be an action, or the beginning of some with a * at its end: ${eventActions.join(', ')}.`,
    )
  const [actorId, targetUserId, sessionId] = ['actor', 'target', 'session'].map(given.text)
  return {
    ...spanOf(given),
    ...(action !== undefined && { action }),
    ...(actorId !== undefined && { actorId }),
    ...(targetUserId !== undefined && { targetUserId }),
    ...(sessionId !== undefined && { sessionId }),
  }
}

/** A slip would be an empty file, and so an answer. */
function isAction(text: string): boolean {
  return eventActions.some((action) =>
    text.endsWith('*') ? action.startsWith(text.slice(0, -1)) : action === text,
  )
}

function sourceOf(given: Given): string {
  const source = given.text('source') ?? 'urn:onbehalf:audit'
  // The characters that RFC 3986 knows.
  if (/^[\w.~:/?#[\]@!$&'()*+,;=%-]+$/.test(source)) return source
  throw new UsageError('--source must be a URI or a path of one.')
}
