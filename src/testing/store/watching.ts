import assert from 'node:assert/strict'
import type { Store } from '../../stores/store.ts'
import {
  endedEvent,
  endingOf,
  extendedEvent,
  minute,
  type Rule,
  start,
  stopOf,
  t0,
} from './fixtures.ts'
import { changeOf, consent } from './grant-fixtures.ts'
import { hashOf, issue, revocationOf, rotationOf } from './token-fixtures.ts'

/** Stores that do not watch keep these by having nothing to keep. */
export function watchRules(rule: Rule): void {
  rule('a watch, once healthy, tells of every change of an actor', async (store) => {
    const news = watch(store)
    if (!news) return
    await news.healthy()
    const session = await start(store)
    await news.next('root')
    const change = { from: session.expiresAt, to: session.expiresAt + minute, now: t0 }
    await store.extendSession(session.id, change, extendedEvent)
    await news.next('root')
    await store.endSession(session.id, endingOf(), endedEvent)
    await news.next('root')
    await store.acknowledgeLapses('root')
    await news.next('root')
    await news.stop()
  })

  rule('a watch tells of the actors whose expired sessions a start closed', async (store) => {
    const news = watch(store)
    if (!news) return
    await news.healthy()
    await start(store, { expiresAt: t0 + 1 })
    await news.next('root')
    await start(store, { actorId: 'sup', createdAt: t0 + 1 })
    await news.next('root', 'sup')
    await news.stop()
  })

  rule('a watch tells of the actor whose session ended with its grant', async (store) => {
    const { grants } = store
    const news = watch(store)
    if (!news || !grants) return news?.stop()
    const grant = await consent(grants)
    await news.healthy()
    await start(store, { grantId: grant.id })
    await news.next('root')
    const ending = { how: endingOf(), event: endedEvent }
    await grants.changeGrant(changeOf(grant, { status: 'revoked' }), [], ending)
    await news.next('root')
    await news.stop()
  })

  rule('a watch tells of the owner of an API token that is new or changed', async (store) => {
    const { tokens } = store
    const news = watch(store)
    if (!news || !tokens) return news?.stop()
    await news.healthy()
    const token = await issue(tokens)
    await news.next('alice')
    const { next, replaces } = rotationOf(token, { userId: 'bob' })
    await tokens.createToken(next, hashOf(next.id), [], replaces)
    await news.next('alice', 'bob')
    await tokens.changeToken(revocationOf(next), [])
    await news.next('bob')
    await news.stop()
  })

  rule('two watches hear the same, and one that ended hears no more', async (store) => {
    const [news, more] = [watch(store), watch(store)]
    if (!news || !more) return
    await Promise.all([news.healthy(), more.healthy()])
    const session = await start(store)
    await Promise.all([news.next('root'), more.next('root')])
    await more.stop()
    const heard = more.count()
    await store.endSession(session.id, stopOf(), endedEvent)
    await news.next('root')
    assert.equal(more.count(), heard)
    await news.stop()
  })
}

/** Waits for what comes, and for nothing longer than the test runner does. */
function watch(store: Store) {
  let heard: string[] = []
  let wake = () => {}
  const tell = (what: string) => {
    heard.push(what)
    wake()
  }
  const stop = store.watch?.({
    silenceMs: 2000,
    invalidate: (actorId) => tell(actorId ?? 'anything'),
    healthy: (up) => tell(up ? 'healthy' : 'unhealthy'),
  })
  return (
    stop && {
      stop: async () => stop(),
      count: () => heard.length,
      /** Everything heard up to this being true is done with. */
      async healthy(): Promise<void> {
        while (!heard.includes('healthy')) await new Promise<void>((resolve) => (wake = resolve))
        heard = []
      },
      /** That anything may have changed counts for each actor. */
      async next(...actorIds: string[]): Promise<void> {
        const told = () =>
          heard.includes('anything') || actorIds.every((actorId) => heard.includes(actorId))
        while (!told()) await new Promise<void>((resolve) => (wake = resolve))
        heard = heard.filter((what) => what !== 'anything' && !actorIds.includes(what))
      },
    }
  )
}
