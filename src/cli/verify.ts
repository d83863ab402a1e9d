import {
  type Problem,
  type Verification,
  type VerifyOptions,
  verifyChain,
} from '../audit/verify.ts'
import type { ChainedEvent, ChainHead, ChainSection } from '../stores/chain.ts'
import { type Given, refuseWords, spanOf } from './args.ts'
import { keyVariables } from './chain-keys.ts'
import type { Command } from './command.ts'
import { exits, UsageError } from './faults.ts'
import { count, harmless } from './output.ts'
import { progressOn } from './progress.ts'

type Asked = Pick<VerifyOptions, 'from' | 'to' | 'sessionId'>

interface Args {
  readonly asked: Asked
  readonly checkpoint: ChainHead | undefined
  readonly printCheckpoint: boolean
  readonly quiet: boolean
}

export const verifyCommand: Command<Args> = {
  usage: '[options]',
  about: `Walks the chain of audit events from its first link, and names the first that does not hold.
The key is that of the servers (audit.key), and comes from the environment alone:
${keyVariables.key}, its name in ${keyVariables.id} (default: default), and
older ones in ${keyVariables.old} as JSON: {"<id>": "<secret>"}.
Only a checkpoint that was kept elsewhere shows that the end was cut off.`,
  options: {
    from: { value: 'instant', help: 'compare events at or after: ISO 8601, or ms since the epoch' },
    to: { value: 'instant', help: 'compare events before' },
    session: { value: 'id', help: 'compare events of this session; links are all checked' },
    checkpoint: { value: 'seq:mac', help: 'what --print-checkpoint has printed before' },
    'print-checkpoint': {
      help: 'when all holds, print the last link as seq:mac, and nothing else',
    },
    quiet: { help: 'show no progress, and nothing when all holds' },
  },

  read(given) {
    refuseWords(given)
    const sessionId = given.text('session')
    return {
      asked: { ...spanOf(given), ...(sessionId !== undefined && { sessionId }) },
      checkpoint: checkpointOf(given),
      printCheckpoint: given.has('print-checkpoint'),
      quiet: given.has('quiet'),
    }
  },

  async run(tools, { asked, checkpoint, printCheckpoint, quiet }) {
    const { store, chainKeys, out, err, json } = tools
    const keys = chainKeys()
    if (!keys) throw new UsageError(`Give the key of the chain in ${keyVariables.key}.`)
    const progress = progressOn(err, !quiet, 'link')
    const seen = watched(store.chain, asked, progress.at)
    const options = { ...asked, ...(checkpoint && { checkpoint: { ...checkpoint, at: 0 } }) }
    const verification = await verifyChain(seen.chain, keys, options, store.trail).finally(
      progress.end,
    )

    const { ok } = verification
    const head = ok ? seen.last() : null
    const mark = head && `${head.seq}:${head.mac}`
    const unmarked = printCheckpoint && ok && !mark
    if (json) {
      const { compared } = seen
      await out.write(`${JSON.stringify(documentOf(verification, compared(), mark))}\n`)
    } else {
      const told = ok
        ? goodWords(verification, seen.compared())
        : badWords(verification, seen.page())
      if (!ok || !quiet) await (printCheckpoint ? err : out).write(`${harmless(told)}\n`)
      if (printCheckpoint && mark) await out.write(`${mark}\n`)
    }
    if (unmarked) await err.write('There is no link that a checkpoint could be.\n')
    return ok && !unmarked ? exits.done : exits.fault
  },
}

function checkpointOf(given: Given): ChainHead | undefined {
  const text = given.text('checkpoint')
  if (text === undefined) return undefined
  const [, seq, mac] = /^([1-9]\d{0,14}):([\w-]{43})$/.exec(text) ?? []
  if (seq !== undefined && mac !== undefined) return { seq: Number(seq), mac }
  throw new UsageError('--checkpoint must be what --print-checkpoint printed: <seq>:<mac>.')
}

/**
 * The chain as it is read: the last link of the walk is the one to vouch for, since the head of the table
 * may be a newer one that nobody has checked.
 */
function watched(chain: ChainSection, asked: Asked, at: (links: number) => Promise<void>) {
  let page: readonly ChainedEvent[] = []
  let compared = 0
  const section: ChainSection = {
    ...chain,
    async readLinks(after, limit) {
      const read = await chain.readLinks(after, limit)
      if (read.length > 0) page = read
      compared += read.filter((chained) => isAsked(chained, asked)).length
      await at(read.at(-1)?.link.seq ?? after)
      return read
    },
  }
  return {
    chain: section,
    page: () => page,
    last: (): ChainHead | null => page.at(-1)?.link ?? null,
    /** How many events were looked into, once all holds. */
    compared: () => compared,
  }
}

function isAsked({ event }: ChainedEvent, { sessionId, from = 0, to = Infinity }: Asked): boolean {
  if (!event || event.at < from || event.at >= to) return false
  return sessionId === undefined || event.sessionId === sessionId
}

function goodWords({ checked }: Verification, compared: number): string {
  if (checked === 0) return 'No audit event is sealed: there is nothing that could be verified.'
  const holds = `${count(checked, 'link')} ${checked === 1 ? 'holds' : 'hold'}`
  return compared === checked ? `${holds}.` : `${holds}, and ${count(compared, 'event')} of them.`
}

function badWords({ checked, firstBad }: Verification, page: readonly ChainedEvent[]): string {
  if (!firstBad) return ''
  const { seq, eventId, problem, sessionId, actionSeq } = firstBad
  const event = eventId === null ? '' : `event ${eventId}`
  const what = seq === null ? event : `link ${seq}${event && ` (${event})`}`
  const keyId = page.find(({ link }) => link.seq === seq)?.link.keyId
  const key = problem === 'key_unknown' && keyId !== undefined ? ` Its name is ${keyId}.` : ''
  const trail =
    sessionId === undefined ? '' : `entry ${actionSeq} of the trail of session ${sessionId}, by `
  return `${problem}: ${trail}${what} does not hold, after ${count(checked, 'link')} checked. ${meanings[problem]}${key}`
}

function documentOf(
  { ok, checked, firstBad }: Verification,
  compared: number,
  mark: string | null,
) {
  const bad = firstBad && {
    seq: firstBad.seq,
    event_id: firstBad.eventId,
    problem: firstBad.problem,
    meaning: meanings[firstBad.problem],
    ...(firstBad.sessionId !== undefined && {
      session_id: firstBad.sessionId,
      action_seq: firstBad.actionSeq,
    }),
  }
  return { ok, checked, ...(ok && { compared }), first_bad: bad ?? null, checkpoint: mark }
}

const meanings: Readonly<Record<Problem, string>> = {
  event_changed: 'The event does not say any more what it said when it was sealed.',
  event_missing: 'The event was removed, and its link is still there.',
  link_forged: `It was not made with the key of its name that is given here: somebody without the key made, moved or changed it, or ${keyVariables.key} or one of ${keyVariables.old} is another than the servers’.`,
  link_missing: 'The link before it was removed.',
  action_forged:
    'An entry of the action trail of that session was changed, moved, or made without the key.',
  action_missing: 'An entry of the action trail of that session was removed.',
  key_unknown: `It was made with a key that is not given here: an older one belongs into ${keyVariables.old}.`,
  event_added: `Nobody sealed it: somebody put it in by hand, or a process without the key stored it, as onbehalf revoke without ${keyVariables.key} does. With --from after it, it is passed over.`,
  cut_off: 'The chain ends before it should: links were removed from its end.',
  rewritten: 'Where the checkpoint was taken stands another link: the chain was made anew.',
}
