import assert from 'node:assert/strict'
import { endedReasons, endings } from '../../types.ts'
import {
  actionsOf,
  after,
  allEvents,
  endedEvent,
  endingOf,
  eventOf,
  extendedEvent,
  minute,
  type Rule,
  same,
  sessionOf,
  start,
  stopOf,
  t0,
} from './fixtures.ts'

export function endingRules(rule: Rule): void {
  rule('an ending is kept with its status, cause, instant, author and note', async (store) => {
    for (const [n, status] of endings.entries()) {
      const session = await start(store, { createdAt: t0 + n })
      const ending = endingOf({ status, reason: status, note: 'because ☂', at: t0 + minute + n })
      const result = await store.endSession(session.id, ending, endedEvent)
      same(result, { session: after(session, ending), changed: true })
      same(await store.readSession(session.id), after(session, ending))
      same(
        await actionsOf(store, session),
        [`impersonation.${status}`, 'impersonation.started'].sort(),
      )
    }
  })

  rule('every cause of an ending is kept', async (store) => {
    for (const reason of endedReasons) {
      const session = await start(store)
      await store.endSession(session.id, endingOf({ reason, by: null }), endedEvent)
      assert.equal((await store.readSession(session.id))?.endedReason, reason)
    }
  })

  rule('the event of an ending is made from the session as it is after it', async (store) => {
    const session = await start(store)
    const ending = endingOf({ note: 'enough' })
    let seen: unknown
    await store.endSession(session.id, ending, (ended) => {
      seen = ended
      return endedEvent(ended)
    })
    same(seen, after(session, ending))
  })

  rule('an ending stores every event that is made for it, in the same unit', async (store) => {
    const [session, other] = [await start(store), sessionOf()]
    const taken = (await allEvents(store)).map(({ id }) => id)
    const both = (ended: typeof session) => [
      ...endedEvent(ended),
      eventOf('grant.used', ended, { id: 'the second' }),
    ]
    const spoilt = (ended: typeof session) => [
      ...endedEvent(ended),
      eventOf('grant.used', other, { id: taken[0] ?? '' }),
    ]
    await assert.rejects(store.endSession(session.id, endingOf(), spoilt))
    same(await store.readSession(session.id), session)
    await store.endSession(session.id, endingOf(), both)
    same(await actionsOf(store, session), [
      'grant.used',
      'impersonation.revoked',
      'impersonation.started',
    ])
  })

  rule('a second ending changes nothing and stores nothing', async (store) => {
    const session = await start(store)
    await store.endSession(session.id, stopOf(), endedEvent)
    const result = await store.endSession(session.id, endingOf(), endedEvent)
    same(result, { session: after(session, stopOf()), changed: false })
    same(await actionsOf(store, session), ['impersonation.started', 'impersonation.stopped'])
    same(await store.readStanding('root'), { active: null, lapse: null })
  })

  rule('of many who end a session at once exactly one did', async (store) => {
    const session = await start(store)
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        store.endSession(session.id, endingOf({ by: `boss-${n}` }), endedEvent),
      ),
    )
    const winners = results.filter((result) => result?.changed)
    assert.equal(winners.length, 1)
    for (const result of results) same(result?.session, winners[0]?.session)
    same(await actionsOf(store, session), ['impersonation.revoked', 'impersonation.started'])
  })

  rule('an unknown session can be neither read, ended nor extended', async (store) => {
    await start(store)
    const change = { from: t0 + 30 * minute, to: t0 + 40 * minute, now: t0 }
    same(await store.readSession('nobody'), null)
    same(await store.endSession('nobody', endingOf(), endedEvent), null)
    same(await store.extendSession('nobody', change, extendedEvent), null)
    assert.equal((await allEvents(store)).length, 1)
  })

  rule('without an event the session ends all the same', async (store) => {
    const session = await start(store)
    const result = await store.endSession(session.id, endingOf(), null)
    same(result, { session: after(session, endingOf()), changed: true })
    same(await actionsOf(store, session), ['impersonation.started'])
    await start(store)
  })

  rule('an ending whose event cannot be made or stored does not happen', async (store) => {
    const session = await start(store)
    const [taken] = await allEvents(store)
    const unmade = () => {
      throw new Error('no event')
    }
    await assert.rejects(store.endSession(session.id, endingOf(), unmade))
    const unstored = eventOf('impersonation.revoked', session, { id: taken?.id ?? '' })
    await assert.rejects(store.endSession(session.id, endingOf(), () => [unstored]))
    same(await store.readStanding('root'), { active: session, lapse: null })
    same(await allEvents(store), [taken])
  })
}

export function lapseRules(rule: Rule): void {
  rule('an ending that the actor does not know of is their lapse', async (store) => {
    const session = await start(store)
    await store.endSession(session.id, endingOf(), endedEvent)
    same(await store.readStanding('root'), { active: null, lapse: after(session, endingOf()) })
    same(await store.readStanding('alice'), { active: null, lapse: null })
  })

  rule('an ending that the actor knows of is none', async (store) => {
    const session = await start(store)
    await store.endSession(session.id, stopOf(), endedEvent)
    same(await store.readStanding('root'), { active: null, lapse: null })
  })

  rule('acknowledged, a lapse is gone; that of others stays', async (store) => {
    const mine = await start(store)
    const other = await start(store, { actorId: 'sup', targetUserId: 'bob' })
    for (const { id } of [mine, other]) await store.endSession(id, endingOf(), endedEvent)
    await store.acknowledgeLapses('root')
    await store.acknowledgeLapses('root')
    await store.acknowledgeLapses('nobody')
    same(await store.readStanding('root'), { active: null, lapse: null })
    same((await store.readStanding('sup')).lapse, after(other, endingOf()))
    same(await store.readSession(mine.id), after(mine, endingOf()))
  })

  rule('acknowledging leaves an active session alone', async (store) => {
    const session = await start(store)
    await store.acknowledgeLapses('root')
    same(await store.readStanding('root'), { active: session, lapse: null })
    await store.endSession(session.id, endingOf(), endedEvent)
    same((await store.readStanding('root')).lapse, after(session, endingOf()))
  })
}

export function extensionRules(rule: Rule): void {
  const from = t0 + 30 * minute
  const to = t0 + 45 * minute

  rule('an extension moves the expiry and stores its event', async (store) => {
    const session = await start(store)
    const moved = { ...session, expiresAt: to }
    let seen: unknown
    const result = await store.extendSession(session.id, { from, to, now: t0 }, (extended) => {
      seen = extended
      return extendedEvent(extended)
    })
    same(result, moved)
    same(seen, moved)
    same(await store.readStanding('root'), { active: moved, lapse: null })
    same(await actionsOf(store, session), ['impersonation.extended', 'impersonation.started'])
  })

  rule('an extension may also shorten', async (store) => {
    const session = await start(store)
    const change = { from, to: t0 + minute, now: t0 }
    const result = await store.extendSession(session.id, change, extendedEvent)
    assert.equal(result?.expiresAt, t0 + minute)
  })

  rule('an extension from another expiry than the present one is none', async (store) => {
    const session = await start(store)
    for (const wrong of [from - 1, from + 1]) {
      const change = { from: wrong, to, now: t0 }
      same(await store.extendSession(session.id, change, extendedEvent), null)
    }
    same(await store.readSession(session.id), session)
    same(await actionsOf(store, session), ['impersonation.started'])
  })

  rule('what is over by the clock cannot be extended', async (store) => {
    const session = await start(store)
    for (const now of [from, from + 1]) {
      same(await store.extendSession(session.id, { from, to, now }, extendedEvent), null)
    }
    const last = await store.extendSession(session.id, { from, to, now: from - 1 }, extendedEvent)
    assert.equal(last?.expiresAt, to)
  })

  rule('what has ended cannot be extended', async (store) => {
    const session = await start(store)
    await store.endSession(session.id, stopOf(), endedEvent)
    same(await store.extendSession(session.id, { from, to, now: t0 }, extendedEvent), null)
    same(await store.readSession(session.id), after(session, stopOf()))
  })

  rule('of many extensions from the same expiry one happens', async (store) => {
    const session = await start(store)
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        store.extendSession(session.id, { from, to: to + n, now: t0 }, extendedEvent),
      ),
    )
    const [winner, ...more] = results.filter((result) => result !== null)
    same(more, [])
    same(await store.readSession(session.id), winner)
    same(await actionsOf(store, session), ['impersonation.extended', 'impersonation.started'])
  })

  rule('an extension whose event cannot be made or stored does not happen', async (store) => {
    const session = await start(store)
    const [taken] = await allEvents(store)
    const unmade = () => {
      throw new Error('no event')
    }
    const unstored = () => [eventOf('impersonation.extended', session, { id: taken?.id ?? '' })]
    for (const event of [unmade, unstored]) {
      await assert.rejects(store.extendSession(session.id, { from, to, now: t0 }, event))
    }
    same(await store.readSession(session.id), session)
    same(await allEvents(store), [taken])
  })

  rule('an extended session expires at its new expiry', async (store) => {
    const session = await start(store)
    await store.extendSession(session.id, { from, to, now: t0 }, extendedEvent)
    const { outcome } = await store.claimSession({
      session: sessionOf(),
      now: from,
      onConflict: 'reject',
      exclusiveTarget: true,
      events: { started: eventOf('impersonation.started', session), ended: endedEvent },
    })
    assert.equal(outcome, 'actor_busy')
  })
}
