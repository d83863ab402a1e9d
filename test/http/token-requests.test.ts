import http from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { memoryStore } from '../../src/index.ts'
import { faultyStore } from '../../src/testing/index.ts'
import { random } from '../support/core-world.ts'
import { frameworks } from '../support/http-apps.ts'
import { closeAll, minute, sendRaw, tokenWorld } from '../support/token-world.ts'

afterEach(closeAll)

describe.each(frameworks)('requests with a token on %s', (framework) => {
  it('run as the target also where the actor would be kept', async () => {
    const { mint, by, call } = await tokenWorld(framework, {
      keepActorRoutes: ['* /whoami', '* /app/two'],
    })
    const { token } = await mint({ access_level: 'full' })
    for (const method of ['GET', 'POST', 'DELETE']) {
      expect((await by(token, `${method} /whoami`)).json).toBe('alice')
      expect((await by(token, `${method} /app/two`)).json).toEqual(['root', 'alice'])
    }
    // By the login it is kept, so the option is the right one.
    await call('root', 'POST /start', { target_user_id: 'bob', reason: 'r' })
    expect((await call('root', 'GET /whoami')).json).toBe('root')
    expect((await call('root', 'GET /app/notes')).json).not.toBe('as oneself')
    expect((await by(token, 'GET /whoami')).json).toBe('alice')
  })

  it('heed the pin of the header, and no cookie', async () => {
    const { mint, by } = await tokenWorld(framework)
    const { token, session } = await mint()
    const other = await mint({ target_user_id: 'bob' })
    const line = async (headers: object) => {
      const { status, json } = await by(token, 'GET /whoami', undefined, headers)
      return status === 200 ? json : `${status} ${json.code}`
    }
    for (const cookie of ['none', other.session, 'x', '%%%', ''])
      expect(await line({ Cookie: `onbehalf=${cookie}; __Host-onbehalf=${cookie}` })).toBe('alice')
    const changed = '409 impersonation_state_changed'
    expect(await line({ 'X-Impersonation-Session': session })).toBe('alice')
    expect(await line({ 'X-Impersonation-Session': 'none' })).toBe(changed)
    expect(await line({ 'X-Impersonation-Session': other.session })).toBe(changed)
    expect(await line({ 'X-Impersonation-Session': `${session}, ${session}` })).toBe(
      '400 invalid_request',
    )
  })

  it('lose the headers that only we may set, and get ours on the answer', async () => {
    const { mint, by, url, call } = await tokenWorld(framework)
    const { token, session } = await mint()
    const forged = {
      'X-Impersonating': 'false',
      'X-Impersonated-User-Id': 'root',
      'X-Impersonator-Id': 'mallory',
      'X-Impersonation-Access-Level': 'full',
      'X-Impersonation-Id': 'x',
    }
    for (const route of ['GET /whoami', 'POST /whoami']) {
      const { status, headers } = await by(token, route, undefined, forged)
      expect(status).toBe(route === 'GET /whoami' ? 200 : 403)
      expect(headers.get('x-impersonating')).toBe('true')
      expect(headers.get('x-impersonated-user-id')).toBe('alice')
      expect(headers.get('x-impersonation-session')).toBe(session)
      expect(headers.get('cache-control')).toContain('no-store')
      expect(headers.get('set-cookie')).toBeNull()
    }
    expect((await by(token, 'GET /whoami')).headers.get('vary')).toContain('Authorization')
    // The answer that holds the token is nobody's to keep.
    const started = await call('root', 'POST /start', {
      target_user_id: 'bob',
      reason: 'r',
      transport: 'token',
    })
    expect(started.headers.get('cache-control')).toContain('no-store')
    // A program without any header of a browser.
    const raw = await sendRaw(`${url}/impersonation/stop`, ['Authorization', `Bearer ${token}`], {
      method: 'POST',
    })
    expect(JSON.parse(raw.text)).toEqual({ status: 'stopped', session_id: session })
  })

  it('are on record where the trail is kept, as those of a login are', async () => {
    const { mint, by, call } = await tokenWorld(framework, { audit: { trail: 'all' } })
    const { token, session } = await mint()
    await by(token, 'GET /app/notes?token=x')
    await by(token, 'POST /app/notes')
    await by(token, 'GET /app/nothing')
    await by(token, 'POST /stop')
    await by(token, 'GET /app/two')
    const { items } = (await call('root', `GET /sessions/${session}/actions`)).json
    const told = (items as Record<string, unknown>[]).map(
      ({ method, path, status }) => `${method} ${path} ${status}`,
    )
    expect(told).toEqual(['GET /app/notes 200', 'POST /app/notes 403', 'GET /app/nothing 404'])
    expect(JSON.stringify(items)).not.toContain(token.split('.')[2])
  })

  it('keep to one target at a time where that is asked, and else stand side by side', async () => {
    const alone = await tokenWorld(framework, { exclusiveTarget: true })
    const first = await alone.mint()
    await expect(alone.mint({}, 'boss')).rejects.toThrow('target_already_impersonated')
    await alone.mint({ target_user_id: 'bob' }, 'boss')
    // Of one's own, the later one takes the place of the earlier.
    const second = await alone.mint()
    expect((await alone.by(first.token, 'GET /whoami')).json.code).toBe('impersonation_ended')
    expect((await alone.by(second.token, 'GET /whoami')).json).toBe('alice')

    const together = await tokenWorld(framework, { exclusiveTarget: false })
    const all = []
    for (const [who, target] of [
      ['root', 'alice'],
      ['root', 'alice'],
      ['root', 'bob'],
      ['boss', 'alice'],
    ] as const)
      all.push({ who, target, ...(await together.mint({ target_user_id: target }, who)) })
    for (const { who, target, token } of all)
      expect((await together.by(token, 'GET /app/two')).json).toEqual([who, target])
    await together.by(all[0]?.token ?? '', 'POST /stop')
    expect((await together.by(all[1]?.token ?? '', 'GET /app/two')).json).toEqual(['root', 'alice'])
    expect(await together.engine.endFor('root')).toBe(2)
    expect((await together.by(all[3]?.token ?? '', 'GET /app/two')).json).toEqual(['boss', 'alice'])
  })

  it('are one read, be they 1,000 at once', async () => {
    const store = faultyStore(memoryStore())
    const { mint, by, clock } = await tokenWorld(framework, { store })
    const { token } = await mint({ duration_minutes: 60 })
    for (const _ of ['unknown', 'too old']) {
      store.plan({})
      const answers = await Promise.all(
        Array.from({ length: 1000 }, () => by(token, 'GET /whoami')),
      )
      expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(['"alice"']))
      expect(store.calls.readSession).toBe(1)
      expect(store.calls.readStanding).toBe(0)
      clock.now += minute
    }
  })

  it('are never mixed up with others on the same connections', async () => {
    const { mint, call, url } = await tokenWorld(framework)
    const tokens = [await mint(), await mint({ target_user_id: 'bob' }, 'sup')]
    await call('boss', 'POST /start', { target_user_id: 'carol', reason: 'r' })
    const [first = '', second = ''] = tokens.map(({ token }) => token)
    const callers = [
      { login: first, sees: ['root', 'alice'] },
      { login: second, sees: ['sup', 'bob'] },
      { login: 'boss', sees: ['boss', 'carol'] },
      { login: 'mallory', sees: [null, null] },
      { login: `${first.slice(0, -8)}AAAAAAAA`, sees: '401' },
    ]
    const agent = new http.Agent({ keepAlive: true, maxSockets: 8 })
    const dice = random(20_300_601)
    const seen = await Promise.all(
      Array.from({ length: 2000 }, async () => {
        const { login, sees } = dice.pick(callers)
        const headers = ['Authorization', `Bearer ${login}`]
        const { status, text } = await sendRaw(`${url}/app/two`, headers, { agent })
        return { sees, saw: status === 200 ? JSON.parse(text) : `${status}` }
      }),
    )
    agent.destroy()
    expect(seen.filter(({ sees, saw }) => `${sees}` !== `${saw}`)).toEqual([])
    expect(new Set(seen.map(({ saw }) => `${saw}`)).size).toBe(callers.length)
  }, 60_000)
})
