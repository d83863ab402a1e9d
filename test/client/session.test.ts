import { describe, expect, it } from 'vitest'
import { isClientError, problemOf } from '../../src/client/index.ts'
import { frameworks } from '../support/http-apps.ts'
import { asAlice, minute, noon, refusal, world } from './world.ts'

describe.each(frameworks)('a client of a caller, on %s', (framework) => {
  it('pins nothing until it knows, then the session, then none', async () => {
    const { client } = await world(framework)
    const page = client()
    const whoami = async () => (await page.fetch('/whoami')).json()
    expect([await whoami(), page.pin()]).toEqual(['root', null])
    const begun = await page.start({ ...asAlice, minutes: 10, accessLevel: 'interactive' })
    expect(begun).toEqual({
      sessionId: expect.any(String),
      targetUser: { id: 'alice', email: null, name: null, orgId: null, role: null },
      accessLevel: 'interactive',
      expiresAt: noon + 10 * minute,
    })
    expect([await whoami(), page.pin()]).toEqual(['alice', begun.sessionId])
    expect(page.sent.at(-1)?.init).toMatchObject({ cache: 'no-store', redirect: 'error' })
    expect(await page.extend(5)).toEqual({ expiresAt: noon + 15 * minute })
    expect(await page.stop()).toEqual({ sessionId: begun.sessionId, endedReason: 'stopped' })
    expect([await whoami(), page.pin()]).toEqual(['root', 'none'])
    expect(await page.stop()).toBeNull()
    expect(page.ended).toEqual([])
  })

  it('learns from the status of a new page what is active', async () => {
    const { client } = await world(framework)
    const { sessionId, expiresAt } = await client().start(asAlice)
    const page = client()
    expect(await page.status()).toMatchObject({
      isImpersonating: true,
      sessionId,
      targetUserId: 'alice',
      accessLevel: 'view',
      breakGlass: false,
      expiresAt,
    })
    await page.fetch('/whoami')
    expect(page.pin()).toBe(sessionId)
    await page.stop()
    const other = client()
    expect(await other.status()).toEqual({ isImpersonating: false })
    await other.fetch('/whoami')
    expect(other.pin()).toBe('none')
  })

  it('is refused once its session is over, until it stops: nothing is written as root', async () => {
    const { client, clock, written } = await world(framework)
    const page = client()
    const { sessionId } = await page.start({ ...asAlice, accessLevel: 'full' })
    expect((await page.fetch('/app/notes', { method: 'POST' })).status).toBe(200)
    clock.now += 31 * minute
    for (const method of ['POST', 'GET', 'POST']) {
      const answer = await page.fetch('/app/notes', { method })
      expect([answer.status, (await problemOf(answer))?.code]).toEqual([
        401,
        'impersonation_expired',
      ])
      // It can still be read.
      expect(await answer.json()).toMatchObject({ code: 'impersonation_expired' })
      expect(page.pin()).toBe(sessionId)
    }
    expect(page.ended.map(({ code, status }) => [code, status])).toEqual([
      ['impersonation_expired', 401],
    ])
    // A banner that looks moves no pin.
    expect(await page.status()).toMatchObject({
      isImpersonating: false,
      lastEnded: { sessionId, status: 'expired', endedAt: noon + 30 * minute },
    })
    expect((await page.fetch('/app/notes', { method: 'POST' })).status).toBe(401)
    expect(written).toEqual(['alice'])
    expect(await page.stop()).toEqual({ sessionId, endedReason: 'expired' })
    expect((await page.fetch('/app/notes', { method: 'POST' })).status).toBe(200)
    expect([written, page.ended.length]).toEqual([['alice', 'oneself'], 1])
  })

  it('may start anew once it is over', async () => {
    const { client, clock } = await world(framework)
    const page = client()
    const first = await page.start(asAlice)
    clock.now += 31 * minute
    await page.fetch('/whoami')
    const second = await page.start(asAlice)
    expect(second.sessionId).not.toBe(first.sessionId)
    expect(await (await page.fetch('/whoami')).json()).toBe('alice')
    clock.now += 31 * minute
    await page.fetch('/whoami')
    expect(page.ended).toHaveLength(2)
  })

  it('holds a page to what it shows, whatever other tabs do', async () => {
    const { client, written } = await world(framework)
    const [one, two] = [client(), client()]
    await one.status()
    await two.start({ ...asAlice, accessLevel: 'full' })
    // A page of root's writes nothing as alice …
    expect((await one.fetch('/app/notes', { method: 'POST' })).status).toBe(409)
    expect(one.ended.map(({ code }) => code)).toEqual(['impersonation_state_changed'])
    // … and starts nothing over what it does not know of.
    expect((await refusal(one.start({ ...asAlice, targetUserId: 'bob' }))).code).toBe(
      'impersonation_state_changed',
    )
    await one.stop()
    // A page of alice's writes nothing as root.
    expect((await two.fetch('/app/notes', { method: 'POST' })).status).toBe(401)
    expect(written).toEqual([])
  })

  it('is told by a look at the status, and stays pinned', async () => {
    const { client, written } = await world(framework)
    const [one, two] = [client(), client()]
    const { sessionId } = await one.start({ ...asAlice, accessLevel: 'full' })
    await two.stop()
    for (let polls = 0; polls < 3; polls++)
      expect(await one.status()).toMatchObject({ isImpersonating: false })
    expect(one.ended.map(({ code }) => code)).toEqual(['impersonation_ended'])
    expect((await one.fetch('/app/notes', { method: 'POST' })).status).toBe(401)
    expect([one.pin(), written]).toEqual([sessionId, []])
    await two.start({ ...asAlice, targetUserId: 'bob', accessLevel: 'full' })
    expect((await one.fetch('/app/notes', { method: 'POST' })).status).toBe(409)

    const third = client()
    await third.stop()
    await third.start(asAlice)
    await two.status()
    expect(two.ended.map(({ code }) => code)).toEqual(['impersonation_state_changed'])
  })

  it('believes what its page was rendered under', async () => {
    const { client, written } = await world(framework)
    const { sessionId } = await client().start({ ...asAlice, accessLevel: 'full' })
    const [ofAlice, ofRoot] = [client({ pin: sessionId }), client({ pin: 'none' })]
    expect((await ofRoot.fetch('/app/notes', { method: 'POST' })).status).toBe(409)
    expect((await ofAlice.fetch('/app/notes', { method: 'POST' })).status).toBe(200)
    await client().stop()
    await ofAlice.status()
    expect((await ofAlice.fetch('/app/notes', { method: 'POST' })).status).toBe(401)
    expect(written).toEqual(['alice'])
  })

  it('means who it meant when it was asked, however long the login takes', async () => {
    const { client, written } = await world(framework)
    let slow: Promise<void> | undefined
    let goOn = () => {}
    const page = client({
      headers: async () => {
        const wait = slow
        slow = undefined
        await wait
        return { Authorization: 'Bearer root' }
      },
    })
    const write = () => {
      slow = new Promise((resolve) => {
        goOn = resolve
      })
      return page.fetch('/app/notes', { method: 'POST' })
    }
    await page.start({ ...asAlice, accessLevel: 'full' })
    const ofAlice = write()
    await page.stop()
    goOn()
    expect((await ofAlice).status).toBe(401)
    const ofRoot = write()
    await page.start({ ...asAlice, accessLevel: 'full' })
    goOn()
    expect((await ofRoot).status).toBe(409)
    expect([written, page.ended]).toEqual([[], []])
  })

  it('takes a request that crosses its own start for no end', async () => {
    const { client } = await world(framework)
    let arrived = () => {}
    const answered = new Promise<void>((resolve) => {
      arrived = resolve
    })
    let goOn = () => {}
    const page = client({
      fetch: async (input, init) => {
        const answer = await fetch(input, init)
        if (!String(input).endsWith('/start')) return answer
        // The server has begun; the page does not know yet.
        arrived()
        await new Promise<void>((resolve) => {
          goOn = resolve
        })
        return answer
      },
    })
    await page.status()
    const starting = page.start(asAlice)
    await answered
    expect((await page.fetch('/whoami')).status).toBe(409)
    expect((await page.status()).isImpersonating).toBe(true)
    goOn()
    await starting
    expect(await (await page.fetch('/whoami')).json()).toBe('alice')
    expect(page.ended).toEqual([])
  })

  it('takes a look that was overtaken by its own stop for no end', async () => {
    const { client } = await world(framework)
    let [arrived, goOn] = [() => {}, () => {}]
    const answered = new Promise<void>((resolve) => {
      arrived = resolve
    })
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const page = client({
      fetch: async (input, init) => {
        const answer = await fetch(input, init)
        if (!String(input).endsWith('/status')) return answer
        arrived()
        await held
        return answer
      },
    })
    await page.start(asAlice)
    const looking = page.status()
    await answered
    await page.stop()
    goOn()
    await looking
    await page.fetch('/whoami')
    expect([page.pin(), page.ended]).toEqual(['none', []])
  })

  it('is told by a start for a token, too, that it is out of date', async () => {
    const { client } = await world(framework)
    const page = client({ pin: 'none' })
    await client().start(asAlice)
    const asBob = page.impersonate('bob', { reason: 'ticket 7' })
    expect((await refusal(asBob)).code).toBe('impersonation_state_changed')
    expect(page.ended.map(({ code }) => code)).toEqual(['impersonation_state_changed'])
  })

  it('goes on under nothing else by a look, where the cookie was out of date', async () => {
    const { client } = await world(framework)
    const { sessionId } = await client().start(asAlice)
    await client().start({ ...asAlice, targetUserId: 'bob' })
    const headers = { Authorization: 'Bearer root', Cookie: `onbehalf=${sessionId}` }
    const page = client({ headers })
    expect((await page.fetch('/whoami')).status).toBe(409)
    await page.status()
    expect((await page.fetch('/whoami')).status).toBe(409)
    expect([page.pin(), page.ended.length]).toEqual([null, 1])
  })

  it('takes no other refusal for an end', async () => {
    const { client } = await world(framework)
    await client({}, 'boss').impersonate('alice', { reason: 'ticket 7' })
    const page = client()
    await page.status()
    const taken = await refusal(page.impersonate('alice', { reason: 'ticket 7' }))
    expect([taken.status, taken.code]).toEqual([409, 'target_already_impersonated'])
    expect(await (await page.fetch('/whoami')).json()).toBe('root')
    expect([page.pin(), page.ended]).toEqual(['none', []])
  })

  it('takes over the pin of the cookie when that is refused', async () => {
    const { client, clock } = await world(framework)
    const { sessionId } = await client().start(asAlice)
    clock.now += 31 * minute
    const page = client({
      headers: { Authorization: 'Bearer root', Cookie: `onbehalf=${sessionId}` },
    })
    expect((await page.fetch('/whoami')).status).toBe(401)
    // The browser has lost its cookie by now; a read would go on as root.
    await page.fetch('/whoami')
    expect([page.pin(), page.ended.map(({ code }) => code)]).toEqual([
      sessionId,
      ['impersonation_expired'],
    ])
  })

  it('gives refusals of its verbs as errors', async () => {
    const { client } = await world(framework)
    const page = client()
    const missing = await refusal(page.start({ targetUserId: 'alice' }))
    expect(isClientError(missing)).toBe(true)
    expect(missing).toMatchObject({
      code: 'invalid_request',
      status: 400,
      errors: [{ path: 'reason' }],
    })
    expect(missing.response?.status).toBe(400)
    // An option that nobody knows is not left out without a word.
    const typo = { ...asAlice, durationMins: 5 }
    expect((await refusal(page.start(typo))).code).toBe('invalid_request')
    expect((await refusal(page.start({ ...asAlice, targetUserId: 'boss' }))).code).toBe(
      'target_protected',
    )
    expect((await refusal(page.extend(5))).code).toBe('not_impersonating')
    expect((await refusal(client({}, 'nobody').status())).code).toBe('unauthenticated')
    await page.fetch('/whoami')
    expect([page.pin(), page.ended]).toEqual([null, []])
  })

  it('asks for the login anew, and lets a request say more', async () => {
    const { client } = await world(framework)
    const logins = ['alice', 'bob']
    const page = client({ headers: async () => ({ Authorization: `Bearer ${logins.shift()}` }) })
    expect(await (await page.fetch('/whoami')).json()).toBe('alice')
    expect(await (await page.fetch(new URL(page.sent[0]?.url ?? ''))).json()).toBe('bob')
    const own = { headers: { Authorization: 'Bearer root', 'X-Impersonation-Session': 'none' } }
    expect(await (await page.fetch(new Request(page.sent[0]?.url ?? '', own))).json()).toBe('root')
    expect(page.pin()).toBe('none')
  })
})
