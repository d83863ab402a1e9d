import { oneLine } from '../audit/formats.ts'
import { sessionToWire } from '../http/wire.ts'
import type { SessionFilter } from '../stores/store.ts'
import type { Session } from '../types.ts'
import type { Given } from './args.ts'
import { keyVariables } from './chain-keys.ts'
import type { Command, Tools } from './command.ts'
import { createRevoker, type Revoker } from './ending.ts'
import { type Exit, exits, UsageError } from './faults.ts'
import { count, harmless } from './output.ts'
import { sessionsOf } from './pages.ts'
import { peopleOf, peopleOptions } from './people.ts'
import { type Sealing, sealingFor } from './sealing.ts'
import { sessionTable } from './sessions.ts'

const longestNote = 500

interface Args {
  /** Which sessions; null for those that match `filter`. */
  readonly ids: readonly string[] | null
  readonly filter: SessionFilter
  readonly all: boolean
  readonly note: string | null
  readonly dryRun: boolean
  readonly yes: boolean
}

/** What became of one session. */
type Outcome = 'revoked' | 'expired' | 'ended_before' | 'not_found' | 'failed' | 'would_end'

interface Result {
  readonly id: string
  readonly outcome: Outcome
  readonly session: Session | null
  readonly error?: string
  /** Whether its event is stored, and not still owed. */
  readonly stored?: boolean
}

export const revokeCommand: Command<Args> = {
  usage: '<session id>… | --actor <id> | --target <id> | --org <id> | --all  [options]',
  about: `Ends active sessions, at once and everywhere, with an audit event for each.
Of --actor, --target and --org all that are there have to match.
Where the servers have audit.key, the events are sealed with it: give it in ${keyVariables.key},
its name in ${keyVariables.id} and older ones in ${keyVariables.old}. Without it this works
as well, and warns.`,
  options: {
    ...peopleOptions,
    all: { help: 'every active session' },
    note: { value: 'text', help: 'why, for the record' },
    'dry-run': { help: 'show what would end, and change nothing' },
    yes: { help: 'do not ask' },
  },

  read(given) {
    const note = given.text('note') ?? null
    if (note !== null && [...note].length > longestNote)
      throw new UsageError(`--note must have at most ${longestNote} characters.`)
    return {
      ...chosen(given),
      note: note?.toWellFormed() ?? null,
      dryRun: given.has('dry-run'),
      yes: given.has('yes'),
    }
  },

  async run(tools, args) {
    const { store, out, err, now, json, confirm } = tools
    const asks = args.all && !args.yes && !args.dryRun
    if (asks && !confirm)
      throw new UsageError(
        '--all ends every active session, and nobody is here to be asked: add --yes.',
      )
    const found = await find(tools, args)
    const active = found.filter(({ session }) => session?.status === 'active')
    if (
      asks &&
      active.length > 0 &&
      !(await confirm?.(`End ${count(active.length, 'session')}?`))
    ) {
      await err.write('Nothing was changed.\n')
      return exits.fault
    }
    const sealing = active.length > 0 ? await sealingFor(tools) : {}
    if (sealing.warning !== undefined) await err.write(`${harmless(sealing.warning)}\n`)
    if (args.dryRun) return preview(tools, found)

    const revoker = createRevoker(store, now, sealing.keys)
    const results: Result[] = []
    for (const result of found) {
      const after = await ended(tools, revoker, result, args.note)
      results.push(after)
      await out.write(json ? jsonOf(after, sealing) : lineOf(after))
    }
    if (!json) await err.write(`${count(results.filter(hasEnded).length, 'session')} ended.\n`)
    return exitOf(tools, revoker, results)
  },
}

function chosen(given: Given): Pick<Args, 'ids' | 'filter' | 'all'> {
  const { words } = given
  const filter = peopleOf(given)
  const all = given.has('all')
  const filtered = Object.keys(filter).length > 0
  const ways = [words.length > 0, filtered, all].filter(Boolean).length
  if (ways === 0)
    throw new UsageError('Say what to end: session ids, --actor, --target, --org or --all.')
  if (ways > 1)
    throw new UsageError(
      'Session ids, --all, and the options --actor, --target and --org exclude each other.',
    )
  if (words.includes('')) throw new UsageError('A session id is empty.')
  return { ids: words.length > 0 ? [...new Set(words)] : null, filter, all }
}

/** Before the first change, so that a fault in reading has no half of the work behind it. */
async function find({ store }: Tools, { ids, filter }: Args): Promise<Result[]> {
  const found: Result[] = []
  for (const id of ids ?? []) {
    const session = await store.readSession(id)
    found.push({ id, outcome: session ? 'ended_before' : 'not_found', session })
  }
  if (ids) return found
  for await (const session of sessionsOf(store, { ...filter, status: 'active' }))
    found.push({ id: session.id, outcome: 'ended_before', session })
  return found
}

/** One that can't be ended must not keep the others from it. */
async function ended(tools: Tools, revoker: Revoker, result: Result, note: string | null) {
  const { id, session } = result
  if (session?.status !== 'active') return result
  try {
    const answer = await revoker.revoke(session, note)
    if (!answer) return { id, outcome: 'not_found', session: null } as const
    const { status } = answer.session
    const outcome = !answer.changed ? 'ended_before' : status === 'expired' ? status : 'revoked'
    const stored = outcome !== 'ended_before' && !answer.owed
    return { id, outcome, session: answer.session, stored } as const
  } catch (error) {
    return { id, outcome: 'failed', session, error: tools.sentence(error) } as const
  }
}

async function exitOf(tools: Tools, revoker: Revoker, results: readonly Result[]): Promise<Exit> {
  const failed = results.some(({ outcome }) => outcome === 'failed' || outcome === 'not_found')
  try {
    const unsealed = await revoker.settle()
    if (unsealed > 0)
      await tools.err.write(
        `${count(unsealed, 'event')} could not be sealed, and onbehalf verify will find that as event_added.\n`,
      )
  } catch (error) {
    const why = tools.sentence(error)
    await tools.err.write(`Ended, but without an audit event, which could not be stored: ${why}\n`)
    return exits.fault
  }
  return failed ? exits.fault : exits.done
}

async function preview({ out, err, now, json }: Tools, found: readonly Result[]): Promise<Exit> {
  const results = found.map((result) =>
    result.session?.status === 'active' ? ({ ...result, outcome: 'would_end' } as const) : result,
  )
  const active = results.flatMap(({ outcome, session }) =>
    outcome === 'would_end' && session ? [session] : [],
  )
  if (json) {
    for (const result of results) await out.write(jsonOf(result))
  } else {
    if (active.length > 0) await out.write(sessionTable(active, now()))
    for (const result of results)
      if (result.outcome !== 'would_end') await out.write(lineOf(result))
    await err.write(`${count(active.length, 'session')} would end. Nothing was changed.\n`)
  }
  return results.some(({ outcome }) => outcome === 'not_found') ? exits.fault : exits.done
}

const hasEnded = ({ outcome }: Result) => outcome === 'revoked' || outcome === 'expired'

const words: Readonly<Record<Outcome, string>> = {
  revoked: 'revoked',
  expired: 'ended, its time was up',
  ended_before: 'had ended before',
  not_found: 'there is no such session',
  failed: 'NOT ended',
  would_end: 'would end',
}

function lineOf({ id, outcome, session, error }: Result): string {
  const who = session ? ` (${session.actorId} as ${session.targetUserId})` : ''
  return `${harmless(`${id}: ${words[outcome]}${who}${error ? `: ${error}` : ''}`)}\n`
}

function jsonOf(result: Result, { keys, warning }: Sealing = {}): string {
  const { id, outcome, session, error, stored } = result
  return `${oneLine({
    ...{ id, outcome, session: session && sessionToWire(session) },
    ...(error && { error }),
    ...(stored && keys && { sealed: true }),
    ...(stored && warning !== undefined && { sealed: false, warning }),
  })}\n`
}
