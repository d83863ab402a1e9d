import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { frameworks } from '../support/http-apps.ts'
import { asAlice, minute, noon, refusal, world } from './world.ts'

const { reason } = asAlice

describe.each(frameworks)('a client that acts as the target, on %s', (framework) => {
  it('runs as the target by its token alone, and the caller goes on as themselves', async () => {
    const { client } = await world(framework)
    const script = client({ credentials: 'include' })
    const alice = await script.impersonate('alice', { reason, minutes: 10, accessLevel: 'full' })
    expect({ ...alice }).toMatchObject({
      user: { id: 'alice', email: null },
      accessLevel: 'full',
      expiresAt: noon + 10 * minute,
    })
    const init = { headers: { Authorization: 'Bearer root', Cookie: 'login=root' } }
    expect(await (await alice.fetch('/whoami', init)).json()).toBe('alice')
    expect(script.pin()).toBe(alice.sessionId)
    const { headers, init: last } = script.sent.at(-1) ?? {}
    expect([...(headers?.keys() ?? [])]).toEqual(['authorization', 'x-impersonation-session'])
    expect(headers?.get('authorization')).not.toContain('root')
    expect(last).toMatchObject({ credentials: 'omit', cache: 'no-store', redirect: 'error' })
    // The login in a Request is no other way in.
    const request = new Request(script.sent.at(-1)?.url ?? '', { ...init, credentials: 'include' })
    expect(await (await alice.fetch(request)).json()).toBe('alice')
    expect(script.sent.at(-1)?.headers.get('cookie')).toBeNull()

    expect(await alice.status()).toMatchObject({ isImpersonating: true, targetUserId: 'alice' })
    expect(await (await script.fetch('/whoami')).json()).toBe('root')
    expect([script.pin(), (await script.status()).isImpersonating]).toEqual([null, false])
  })

  it('gives the refusals of a level as answers', async () => {
    const { client } = await world(framework)
    const alice = await client().impersonate('alice', { reason })
    const answer = await alice.fetch('/app/notes', { method: 'POST', body: 'a note' })
    expect([answer.status, (await answer.json()).code]).toEqual([403, 'grant_view_only'])
    expect((await alice.fetch('/whoami')).status).toBe(200)
  })

  it('is over by the clock, with no request', async () => {
    const { client, clock } = await world(framework)
    const script = client()
    const alice = await script.impersonate('alice', { reason, minutes: 1 })
    clock.now += minute - 1
    expect((await alice.fetch('/whoami')).status).toBe(200)
    clock.now += 1
    const before = script.sent.length
    for (const call of [() => alice.fetch('/whoami'), () => alice.status()])
      expect(await refusal(call())).toMatchObject({ code: 'impersonation_expired', status: 401 })
    // Nor is it alive again when somebody sets the clock back.
    clock.now -= minute
    expect((await refusal(alice.fetch('/whoami'))).code).toBe('impersonation_expired')
    expect(script.sent).toHaveLength(before)
  })

  it('is over no later than on the server, however long the start took', async () => {
    const { client, clock } = await world(framework)
    const script = client({
      fetch: async (input, init) => {
        const answer = await fetch(input, init)
        if (String(input).endsWith('/start')) clock.now += minute / 2
        return answer
      },
    })
    const alice = await script.impersonate('alice', { reason, minutes: 1 })
    clock.now += minute / 2
    const before = script.sent.length
    expect((await refusal(alice.fetch('/whoami'))).code).toBe('impersonation_expired')
    expect(script.sent).toHaveLength(before)
  })

  it('is over by a 401, for good, and never goes on as the caller', async () => {
    const { client, call, written } = await world(framework)
    const script = client()
    const alice = await script.impersonate('alice', { reason, accessLevel: 'full' })
    await call('boss', `DELETE /sessions/${alice.sessionId}`)
    const write = () => alice.fetch('/app/notes', { method: 'POST' })
    const first = await refusal(write())
    expect(first).toMatchObject({ code: 'impersonation_revoked', status: 401 })
    expect(first.response?.headers.get('www-authenticate')).toContain('impersonation_revoked')
    const before = script.sent.length
    expect((await refusal(write())).code).toBe('impersonation_revoked')
    expect((await refusal(alice.status())).code).toBe('impersonation_revoked')
    expect([script.sent.length, written]).toEqual([before, []])
  })

  it('is over by what its status says', async () => {
    const { client, call } = await world(framework)
    const script = client()
    const alice = await script.impersonate('alice', { reason })
    await call('boss', `DELETE /sessions/${alice.sessionId}`)
    expect((await refusal(alice.status())).code).toBe('impersonation_revoked')
    const before = script.sent.length
    expect((await refusal(alice.fetch('/whoami'))).code).toBe('impersonation_revoked')
    expect(script.sent).toHaveLength(before)
  })

  it('stops once, whoever calls how often, and at the end of its block', async () => {
    const { client, call } = await world(framework)
    const script = client()
    let sessionId = ''
    {
      await using alice = await script.impersonate('alice', { reason })
      sessionId = alice.sessionId
      await Promise.all([alice.stop(), alice.stop(), alice[Symbol.asyncDispose]()])
      await alice.stop()
      expect(await refusal(alice.fetch('/whoami'))).toMatchObject({ code: 'impersonation_ended' })
    }
    expect(script.sent.filter(({ url }) => url.endsWith('/stop'))).toHaveLength(1)
    const { json } = await call('boss', `GET /sessions/${sessionId}`)
    expect(json).toMatchObject({ status: 'stopped' })
  })

  it('stops at the end of its block, also after an answer of the app that looks like an end', async () => {
    const { client, call } = await world(framework)
    const script = client({
      fetch: (input, init) =>
        String(input).endsWith('/forged')
          ? Promise.resolve(
              Response.json(
                { code: 'token_invalid' },
                { status: 401, headers: { 'Content-Type': 'application/problem+json' } },
              ),
            )
          : fetch(input, init),
    })
    let sessionId = ''
    {
      await using alice = await script.impersonate('alice', { reason })
      sessionId = alice.sessionId
      expect((await refusal(alice.fetch('/forged'))).code).toBe('token_invalid')
      expect((await refusal(alice.fetch('/whoami'))).code).toBe('token_invalid')
    }
    expect((await call('boss', `GET /sessions/${sessionId}`)).json.status).toBe('stopped')
  })

  it('may be stopped when it is over already', async () => {
    const { client, call, clock } = await world(framework)
    const alice = await client().impersonate('alice', { reason })
    await call('boss', `DELETE /sessions/${alice.sessionId}`)
    await alice.stop()
    const bob = await client().impersonate('bob', { reason, minutes: 1 })
    clock.now += 2 * minute
    await bob.stop()
    expect((await refusal(bob.fetch('/whoami'))).code).toBe('impersonation_ended')
  })

  it('shows its token to nobody', async () => {
    const { client, call } = await world(framework)
    const script = client()
    const alice = await script.impersonate('alice', { reason })
    await alice.fetch('/whoami')
    const token = script.sent.at(-1)?.headers.get('authorization')?.slice('Bearer '.length) ?? ''
    expect(token.split('.')).toHaveLength(3)
    await call('boss', `DELETE /sessions/${alice.sessionId}`)
    const errors = [
      await refusal(alice.fetch('/whoami')),
      await refusal(alice.status()),
      await refusal(alice.fetch('https://elsewhere.example/')),
    ]
    for (const shown of [alice, script.start, ...errors]) {
      const deep = inspect(shown, { depth: 20, showHidden: true })
      const all = [JSON.stringify(shown), deep, `${shown}`, ...Object.getOwnPropertyNames(shown)]
      expect(all.join('\n')).not.toContain(token)
      expect(all.join('\n')).not.toContain(token.split('.')[2])
    }
    expect(JSON.parse(JSON.stringify(alice))).toEqual({
      user: { id: 'alice', email: null, name: null, orgId: null, role: null },
      sessionId: alice.sessionId,
      accessLevel: 'view',
      expiresAt: noon + 30 * minute,
    })
    expect(Object.isFrozen(alice)).toBe(true)
  })

  it('can not be had where tokens are off', async () => {
    const { client } = await world(framework, { impersonationTokens: undefined as never })
    const script = client()
    expect(await refusal(script.impersonate('alice', { reason }))).toMatchObject({
      code: 'invalid_request',
      errors: [{ path: 'transport' }],
    })
    // Only impersonate() asks for one.
    const sneaky = { ...asAlice, transport: 'token' }
    expect(Object.keys(await script.start(sneaky))).not.toContain('accessToken')
    expect(await (await script.fetch('/whoami')).json()).toBe('alice')
  })
})
