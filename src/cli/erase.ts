import { oneLine } from '../audit/formats.ts'
import { refuseWords } from './args.ts'
import type { Command } from './command.ts'
import { exits, UsageError } from './faults.ts'
import { count, harmless } from './output.ts'
import { sessionsOf } from './pages.ts'
import { progressOn } from './progress.ts'
import { aboutKeys, asFault, isMeant, retentionFor } from './retaining.ts'

interface Args {
  readonly userId: string
  readonly yes: boolean
}

export const eraseCommand: Command<Args> = {
  usage: '--user <id> [--yes] [--json]',
  about: `Erases for good what is on record about a person beside their id, as an actor and as a target:
reasons, notes, addresses, browsers, what messages to them said, and the names of their API tokens.
It is put on record that it was erased, and onbehalf verify knows it from what somebody changed.
${aboutKeys}`,
  options: {
    user: { value: 'id', help: 'who' },
    yes: { help: 'do not ask' },
  },

  read(given) {
    refuseWords(given)
    const userId = given.text('user')
    if (userId === undefined) throw new UsageError('Say who: --user <id>.')
    return { userId, yes: given.has('yes') }
  },

  async run(tools, { userId, yes }) {
    const { store, out, err, json } = tools
    const who = harmless(userId)
    const question = `Erase what is on record about ${who}, beside their id?`
    if (!(await isMeant(tools, yes, question))) return exits.fault
    const retention = await retentionFor(tools)
    const progress = progressOn(err, !json, 'row')
    const { rows } = await retention
      .erase(userId, { onProgress: (soFar) => void progress.at(soFar.rows) })
      .catch(asFault)
      .finally(progress.end)
    await out.write(
      json ? `${oneLine({ user_id: userId, rows })}\n` : `${count(rows, 'row')} erased.\n`,
    )

    let live = 0
    for (const filter of [{ actorId: userId }, { targetUserId: userId }]) {
      for await (const _ of sessionsOf(store, { ...filter, status: 'active' })) live++
    }
    if (live > 0)
      await err.write(
        `${count(live, 'session')} of theirs ${live === 1 ? 'is' : 'are'} active and not erased: end them with onbehalf revoke, and erase again.\n`,
      )
    return exits.done
  },
}
