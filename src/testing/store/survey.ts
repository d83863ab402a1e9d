import type { RetentionSection } from '../../stores/retention.ts'
import type { Store } from '../../stores/store.ts'
import { allEvents, endingOf, eventOf, type Rule, same, t0 } from './fixtures.ts'
import { ids, whole } from './retention.ts'
import { before, begun, day, lone, over, pruneAll, whereRetained } from './retention-fixtures.ts'

/** What is there of a chain, as the numbers of links whose events are stored. */
async function stored({ chain }: Store): Promise<number[]> {
  const links = (await chain?.readLinks(0, 1_000_000)) ?? []
  return links.flatMap(({ link, event }) => (event ? [link.seq] : []))
}

export function surveyRules(someRule: Rule): void {
  const rule = (
    name: string,
    prove: (store: Store, retention: RetentionSection) => Promise<void>,
  ) =>
    whereRetained(someRule)(name, async (store, retention) => {
      if (store.chain) await prove(store, retention)
    })

  rule('links stay, without their events', async (store, retention) => {
    const [old, kept] = [await over(store, before - 1), await over(store, before)]
    const head = await store.chain?.readHead()
    const links = async () => (await store.chain?.readLinks(0, 9))?.map(({ link }) => link)
    const all = await links()
    await pruneAll(store, retention)
    same(await store.chain?.readHead(), head)
    same(await links(), all)
    same(await stored(store), [3, 4])
    same(await whole(store, old.id, kept.id), [kept.id])
    same(await store.chain?.readUnsealed(0, 9), [])
  })

  rule('a survey says what a pruning will leave', async (store, retention) => {
    same(await retention.surveyChain(before, 0), { upTo: null, kept: 0 })
    await over(store, before)
    same(await retention.surveyChain(before, 0), { upTo: null, kept: 0 })
    await over(store, before - 1)
    await lone(store, { action: 'audit.pruned', at: t0 })
    await begun(store, { createdAt: t0 - day })
    await lone(store, { at: before - 1 })
    await lone(store, { at: before - 1, sessionId: 'never stored' })
    await lone(store, { at: before })
    same(await retention.surveyChain(before, 0), { upTo: 8, kept: 4 })
    await pruneAll(store, retention)
    same(await stored(store), [1, 2, 5, 6, 9])
    same(await retention.surveyChain(before, 8), { upTo: 8, kept: 4 })
    same(await retention.surveyChain(before + 1, 8), { upTo: 9, kept: 2 })
  })

  rule('a survey takes no session for one that looks like it', async (store, retention) => {
    await over(store, before, { id: 'id' })
    await lone(store, { sessionId: 'id ', at: before - 1 })
    await lone(store, { sessionId: 'ID', at: before - 1 })
    same(await retention.surveyChain(before, 0), { upTo: 4, kept: 2 })
  })

  rule('a survey goes as far as an earlier one at least', async (store, retention) => {
    for (let n = 0; n < 3; n++) await lone(store, { at: before })
    same(await retention.surveyChain(before, 2), { upTo: 2, kept: 2 })
    same(await retention.surveyChain(before, 0), { upTo: null, kept: 0 })
  })

  rule('what is gone behind an earlier survey counts as what stays', async (store, retention) => {
    for (let n = 0; n < 5; n++) await lone(store, { at: before + (n % 2) })
    await retention.prune(before + 1, 5, 100)
    same(await stored(store), [2, 4])
    await lone(store, { at: t0 })
    same(await retention.surveyChain(before, 3), { upTo: 6, kept: 3 })
    same(await retention.surveyChain(before, 5), { upTo: 6, kept: 2 })
  })

  rule(
    'what is linked after the survey stays, and the session with it',
    async (store, retention) => {
      const [one, two] = [await over(store, before - 2), await over(store, before - 1)]
      await lone(store, { sessionId: one.id, at: t0 })
      const late = await lone(store, { at: t0 })
      const unit = await retention.prune(before, 4, 1)
      same(unit, { sessions: 1, events: 2, more: false })
      same(await whole(store, one.id, two.id), [one.id])
      same(await stored(store), [1, 2, 5, 6])
      same(await retention.prune(before, 5, 9), { sessions: 1, events: 3, more: false })
      same(ids(await allEvents(store)), [late.id])
    },
  )

  rule('an event that nobody sealed goes all the same', async (store, retention) => {
    const session = await begun(store, { createdAt: t0 })
    const how = endingOf({ at: before - 1, acknowledged: true })
    await store.endSession(session.id, how, (ended) => [eventOf('impersonation.revoked', ended)])
    same(await retention.prune(before, 1, 9), { sessions: 1, events: 2, more: false })
  })
}
