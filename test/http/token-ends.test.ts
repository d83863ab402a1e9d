import { afterEach, describe, expect, it } from 'vitest'
import { memoryStore, type StoreWatcher } from '../../src/index.ts'
import { frameworks } from '../support/http-apps.ts'
import { closeAll, minute, second, tokenWorld } from '../support/token-world.ts'

afterEach(closeAll)

const revoked = '401 impersonation_revoked'

/** How a token comes to its end, by a call or by the clock, and what it gets from then on. */
type World = Awaited<ReturnType<typeof tokenWorld>>
interface End {
  /** Without a word to the engine: it is over once the lag has passed. */
  readonly unsaid?: true
  readonly line: string
  end(world: World, token: string, session: string): unknown
}

const ends: Record<string, End> = {
  'stop by the token': {
    line: '401 impersonation_ended',
    end: ({ by }, token) => by(token, 'POST /stop'),
  },
  'revoke by an admin': {
    line: revoked,
    end: ({ call }, _, session) => call('boss', `POST /sessions/${session}/revoke`, {}),
  },
  'its own actor who may revoke': {
    line: revoked,
    end: ({ call }, _, session) => call('root', `DELETE /sessions/${session}`),
  },
  'endFor of its actor': { line: revoked, end: ({ engine }) => engine.endFor('root') },
  'an actor who may not any more': {
    line: revoked,
    async end({ change, engine }) {
      change('root', { may: ['list'] })
      await engine.userChanged('root')
    },
  },
  'a target who is inactive': {
    line: revoked,
    async end({ change, engine }) {
      change('alice', { active: false })
      await engine.userChanged('alice')
    },
  },
  'a target who was promoted, unsaid': {
    unsaid: true,
    line: revoked,
    end: ({ change }) => change('alice', { may: ['start'] }),
  },
  'a target who left the organisation, unsaid': {
    unsaid: true,
    line: revoked,
    end: ({ change }) => change('alice', { orgId: 'rivals' }),
  },
  'an actor who was deleted, unsaid': {
    unsaid: true,
    line: revoked,
    end: ({ users }) => users.splice(0, 1),
  },
  'an actor who was demoted, unsaid': {
    unsaid: true,
    line: revoked,
    end: ({ change }) => change('root', { may: [] }),
  },
}

describe.each(frameworks)('a token ends on %s by', (framework) => {
  it.each(Object.entries(ends))('%s', async (_, { unsaid, line, end }) => {
    const world = await tokenWorld(framework)
    const { mint, by, call, signals, clock, users } = world
    const { token, session } = await mint()
    expect((await by(token, 'GET /app/two')).json).toEqual(['root', 'alice'])
    expect((await by(token, 'GET /app/signal')).json).toBe(session)
    await end(world, token, session)
    if (unsaid) clock.now += 2 * second
    for (const route of ['GET /app/two', 'POST /app/two', 'GET /status']) {
      const { status, json, headers } = await by(token, route)
      expect([route, `${status} ${json.code}`]).toEqual([route, line])
      expect(headers.get('www-authenticate')).toMatch(/^Bearer/)
      expect(headers.get('x-impersonating')).toBeNull()
      expect(headers.get('cache-control')).toContain('no-store')
    }
    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
    // Whoever started it goes on as themselves, and is told nothing of it.
    if (!users.some(({ id }) => id === 'root')) return
    const own = await call('root', 'POST /whoami')
    expect([own.json, own.headers.get('x-impersonation-ended')]).toEqual(['root', null])
  })

  it('its own clock, to the millisecond', async () => {
    const { mint, by, clock, call, signals } = await tokenWorld(framework)
    const { token, session } = await mint({ duration_minutes: 1 })
    clock.now += minute - 1
    expect((await by(token, 'GET /whoami')).json).toBe('alice')
    await by(token, 'GET /app/signal')
    clock.now += 1
    for (const route of ['GET /whoami', 'POST /stop', 'GET /status'])
      expect((await by(token, route)).json.code).toBe('token_invalid')
    await call('boss', `GET /sessions/${session}`)
    const row = (await call('boss', `GET /sessions/${session}`)).json
    expect(row.expires_at).toBe('2030-06-01T12:01:00.000Z')
    expect(signals).toHaveLength(1)
  })

  it('the end of a part of a second, which it does not live to see', async () => {
    const { mint, by, clock } = await tokenWorld(framework)
    clock.now += 999
    const { token } = await mint({ duration_minutes: 1 })
    clock.now += minute - 999 - 1
    expect((await by(token, 'GET /whoami')).json).toBe('alice')
    clock.now += 1
    expect((await by(token, 'GET /whoami')).json.code).toBe('token_invalid')
  })

  it('the revocation of its grant: 401 grant_revoked', async () => {
    const { mint, by, call, signals } = await tokenWorld(framework, {
      consent: 'required',
      exclusiveTarget: false,
    })
    await expect(mint()).rejects.toThrow('grant_required')
    const ask = { target_user_id: 'alice', reason: 'ticket 7' }
    const { id } = (await call('root', 'POST /grants', ask)).json
    await expect(mint({ grant_id: id })).rejects.toThrow('grant_not_granted')
    await call('alice', `POST /me/grants/${id}/approve`, {})
    await expect(mint({ grant_id: id, access_level: 'full' })).rejects.toThrow(
      'access_level_exceeds_grant',
    )
    const { token } = await mint({ grant_id: id })
    expect(JSON.parse(atob(token.split('.')[1] ?? '')).grant_id).toBe(id)
    await expect(mint({ grant_id: id })).rejects.toThrow('grant_already_in_use')
    expect((await by(token, 'GET /app/signal')).status).toBe(200)
    await call('alice', `DELETE /me/grants/${id}`)
    const { status, json } = await by(token, 'GET /whoami')
    expect([status, json.code]).toEqual([401, 'grant_revoked'])
    expect((await by(token, 'GET /status')).json.code).toBe('grant_revoked')
    expect(signals.every(({ aborted }) => aborted)).toBe(true)
  })

  it.each([{ onLapse: 'pass' }, { onLapse: 'refuse' }] as const)(
    'a 401 and nothing else, whatever %o says',
    async (onLapse) => {
      const { mint, by, call, engine } = await tokenWorld(framework, { ...(onLapse as object) })
      const { token } = await mint()
      await engine.endFor('root')
      for (const method of ['GET', 'POST'])
        expect((await by(token, `${method} /whoami`)).status).toBe(401)
      expect((await call('root', 'POST /whoami')).json).toBe('root')
    },
  )

  it('an end in another process: within two seconds, with a hot cache', async () => {
    const world = await tokenWorld(framework)
    const other = await world.process()
    const { token, session } = await world.mint()
    expect((await other.by(token, 'GET /app/signal')).json).toBe(session)
    await world.call('boss', `DELETE /sessions/${session}`)
    expect((await world.by(token, 'GET /whoami')).json.code).toBe('impersonation_revoked')
    world.clock.now += 2 * second - 1
    expect((await other.by(token, 'GET /whoami')).json).toBe('alice')
    world.clock.now += 1
    expect((await other.by(token, 'GET /whoami')).json.code).toBe('impersonation_revoked')
    expect(world.signals.map(({ aborted }) => aborted)).toEqual([true])
  })

  it('an end in another process: at once, where the store tells', async () => {
    const inner = memoryStore()
    const watchers: StoreWatcher[] = []
    const store = {
      ...inner,
      watch(watcher: StoreWatcher) {
        watchers.push(watcher)
        watcher.healthy(true)
        return () => {}
      },
    }
    const world = await tokenWorld(framework, { store })
    const other = await world.process()
    const { token, session } = await world.mint()
    const { token: second } = await world.mint({ target_user_id: 'bob' })
    for (const each of [token, second]) await other.by(each, 'GET /app/signal')
    await world.call('boss', `DELETE /sessions/${session}`)
    // Nothing has been said yet: the answer is a known one.
    expect((await other.by(token, 'GET /whoami')).json).toBe('alice')
    for (const watcher of watchers) watcher.invalidate('boss')
    expect((await other.by(token, 'GET /whoami')).json).toBe('alice')
    for (const watcher of watchers) watcher.invalidate('root')
    expect((await other.by(token, 'GET /whoami')).json.code).toBe('impersonation_revoked')
    expect((await other.by(second, 'GET /whoami')).json).toBe('bob')
    await world.engine.endFor('root')
    for (const watcher of watchers) watcher.invalidate(null)
    expect((await other.by(second, 'GET /whoami')).json.code).toBe('impersonation_revoked')
  })
})
