import { oneLine } from '../audit/formats.ts'
import { instantOf, refuseWords } from './args.ts'
import type { Command } from './command.ts'
import { exits, UsageError } from './faults.ts'
import { count, instant } from './output.ts'
import { progressOn } from './progress.ts'
import { aboutKeys, asFault, isMeant, retentionFor } from './retaining.ts'

interface Args {
  readonly before: number
  readonly yes: boolean
}

const dayMs = 24 * 60 * 60 * 1000

export const pruneCommand: Command<Args> = {
  usage: '--before <instant> [--yes] [--json]',
  about: `Deletes for good: sessions that were over before an instant, with all that was done under them and
their audit events; other events older than it; closed grants and requests, settled messages, and
API tokens that nobody can use any more.
What is deleted is put on record, and onbehalf verify knows it from what somebody removed. It
verifies the events first, and deletes nothing where they do not hold.
${aboutKeys}`,
  options: {
    before: { value: 'instant', help: 'ISO 8601, or ms since the epoch; at least 24 hours ago' },
    yes: { help: 'do not ask' },
  },

  read(given) {
    refuseWords(given)
    const before = instantOf(given, 'before')
    if (before === undefined) throw new UsageError('Say what is old: --before <instant>.')
    return { before, yes: given.has('yes') }
  },

  async run(tools, { before, yes }) {
    const { out, err, now, json } = tools
    if (before > now() - dayMs) throw new UsageError('--before must be at least 24 hours ago.')
    const question = `Delete what was over before ${instant(before)}?`
    if (!(await isMeant(tools, yes, question))) return exits.fault
    const retention = await retentionFor(tools)
    const progress = progressOn(err, !json, 'event')
    const pruned = await retention
      .prune({ before, onProgress: ({ events }) => void progress.at(events) })
      .catch(asFault)
      .finally(progress.end)
    const { sessions, events } = pruned
    const words = `${count(sessions, 'session')} and ${count(events, 'event')} deleted.\n`
    await out.write(json ? `${oneLine({ sessions, events })}\n` : words)
    return exits.done
  },
}
