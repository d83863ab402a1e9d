import { describe, expect, it } from 'vitest'
import {
  type ApiToken,
  type ApiTokenContext,
  type ImpersonationOptions,
  isImpersonationError,
  memoryStore,
  type Place,
  type Store,
} from '../../src/index.ts'
import { apiTokens, tokenedWorld } from '../support/api-tokens.ts'
import { codeOf, day, hour, minute, noon, type User } from '../support/core-world.ts'

const services = { is: ({ role }: User) => role === 'service' }

/** `root` and `boss` issue for all, `acme-admin` in their own organisation; `robot` is a program. */
function world(options: Partial<ImpersonationOptions<User>> = {}, store?: Store) {
  const tokened = tokenedWorld(
    {
      can: (user, action, target) =>
        user.may?.includes(action) ||
        (action === 'issue_token' && user.role === 'org-admin' && target?.orgId === user.orgId),
      apiTokens: { ...apiTokens, services },
      ...options,
    },
    store,
  )
  tokened.users.set('robot', { id: 'robot', role: 'service', orgId: 'umbrella' })
  tokened.users.set('acme-admin', { id: 'acme-admin', role: 'org-admin', orgId: 'acme' })
  tokened.change('alice', { orgId: 'acme' })
  tokened.change('boss', { may: ['start', 'issue_token'] })
  const { tokens } = tokened.engine
  const contextOf = async (secret: string) =>
    (await tokened.context(secret)) as ApiTokenContext<User>
  return {
    ...tokened,
    tokens,
    contextOf,
    rotate: (id: string, overlapMs?: number) =>
      tokens.rotate(tokened.caller('root'), id, overlapMs),
    async rotateOwn(secret: string, overlapMs?: number) {
      const token = await contextOf(secret)
      return tokens.rotateOwn(token, token.id, overlapMs)
    },
    read: (id: string) => tokened.store.tokens?.readToken(id),
    events: (action: `token.${'issued' | 'rotated' | 'revoked'}` | 'impersonation.refused') =>
      tokened.store.listEvents({ action }, { limit: 100 }),
  }
}

describe('a rotation', () => {
  it('gives a token like the old one, which goes on for the overlap', async () => {
    const { issue, rotate, read, line, clock } = world()
    const old = await issue('alice', { durationMs: 10 * day, scopes: ['upload'] })
    clock.tick(day)
    const next = await rotate(old.token.id)
    const { id, prefix } = next.token
    expect(next.token).toEqual({
      ...old.token,
      id,
      prefix,
      createdAt: noon + day,
      expiresAt: noon + 11 * day,
    })
    expect(next.secret).not.toBe(old.secret)
    expect(await read(old.token.id)).toMatchObject({
      expiresAt: noon + day + hour,
      replacedBy: id,
      revokedAt: null,
      revision: 2,
    })
    expect([await line(old.secret), await line(next.secret)]).toEqual(['alice', 'alice'])
    clock.tick(hour - 1)
    expect(await line(old.secret)).toBe('alice')
    clock.tick(1)
    expect(await line(old.secret)).toBe('401 token_invalid')
    expect(await line(next.secret)).toBe('alice')
  })

  it.each([
    [0, 0],
    [1, 1],
    [day, day],
  ])('with an overlap of %d ms', async (asked, overlap) => {
    const { issue, rotate, read, line } = world()
    const { token, secret } = await issue()
    // What is known of it is known no longer.
    expect(await line(secret)).toBe('alice')
    await rotate(token.id, asked)
    expect((await read(token.id))?.expiresAt).toBe(noon + overlap)
    expect(await line(secret)).toBe(asked === 0 ? '401 token_invalid' : 'alice')
  })

  it('never makes the old one live longer, nor the new one than its owner’s may', async () => {
    const { issue, rotate, read, change, clock } = world()
    const { token } = await issue('alice', { durationMs: 10 * day })
    clock.tick(10 * day - minute)
    change('alice', { role: 'service' })
    const next = await rotate(token.id)
    expect((await read(token.id))?.expiresAt).toBe(token.expiresAt)
    expect(next.token.expiresAt - next.token.createdAt).toBe(day)
  })

  it('is on record as a change of the new one, with the old one’s place', async () => {
    const { issue, rotate, events } = world()
    const { token } = await issue()
    const next = await rotate(token.id, minute)
    const [event, ...more] = await events('token.rotated')
    expect(more).toEqual([])
    expect(event).toMatchObject({
      actorId: 'root',
      targetUserId: 'alice',
      targetOrgId: 'acme',
      details: {
        token_id: next.token.id,
        token_prefix: next.token.prefix,
        scopes: 'read upload',
        expires_at: next.token.expiresAt,
        replaces: token.id,
        replaced_until: noon + minute,
      },
    })
    expect(JSON.stringify(event)).not.toContain(next.secret)
    expect(JSON.stringify(event)).not.toContain('nightly')
  })

  it('makes whoever does it the issuer', async () => {
    const { issue, tokens, caller } = world()
    const { token } = await issue()
    expect((await tokens.rotate(caller('boss'), token.id)).token.issuedBy).toBe('boss')
  })

  it('is done once: of any number at the same moment, by one process or many, one', async () => {
    const { issue, another, caller, tokens, events } = world({ rateLimit: false })
    const { token } = await issue()
    const engines = [tokens, another().tokens, another().tokens]
    const all = engines.flatMap((on) =>
      ['root', 'boss', 'root'].map((who) => codeOf(on.rotate(caller(who), token.id))),
    )
    const codes = await Promise.all(all)
    expect(codes.filter((code) => code === 'done')).toHaveLength(1)
    expect(codes.filter((code) => code === 'token_not_active')).toHaveLength(8)
    expect(await events('token.rotated')).toHaveLength(1)
    expect(await codeOf(tokens.rotate(caller('root'), token.id))).toBe('token_not_active')
  })

  it.each(['revoked', 'expired'])('of one that is %s is none', async (how) => {
    const { issue, rotate, revoke, clock, events } = world()
    const { token } = await issue('alice', { durationMs: minute })
    if (how === 'revoked') await revoke(token.id)
    else clock.tick(minute)
    expect(await codeOf(rotate(token.id))).toBe('token_not_active')
    const [refused] = await events('impersonation.refused')
    expect(refused).toMatchObject({
      actorId: 'root',
      targetUserId: 'alice',
      code: 'token_not_active',
      details: { attempt: 'token', token_id: token.id },
    })
  })

  it.each([-1, 0.5, Number.NaN, day + 1, '60', null])(
    'with an overlap of %s is refused',
    async (overlap) => {
      const { issue, rotate, tokens, contextOf } = world()
      const { token } = await issue()
      const error = await rotate(token.id, overlap as number).catch((one: unknown) => one)
      expect(error).toMatchObject({
        code: 'invalid_request',
        errors: [{ path: 'overlap_minutes' }],
      })
      const own = await contextOf((await issue('robot')).secret)
      expect(await codeOf(tokens.rotateOwn(own, own.id, overlap as number))).toBe('invalid_request')
    },
  )

  it('asks all that issuing asks: the caller, the owner, the rule', async () => {
    const rules = { forbidden: false }
    const { issue, rotate, tokens, caller, change, start, engine } = world({
      consent: () => (rules.forbidden ? 'forbidden' : 'off'),
    })
    const { token } = await issue()
    const by = (who: string) => codeOf(tokens.rotate(caller(who), token.id))
    expect(await by('sup')).toBe('not_allowed')
    expect(await by('alice')).toBe('not_allowed')
    await start('root', 'bob')
    expect(await by('root')).toBe('nested_impersonation')
    await engine.sessions.stop(caller('root'))
    for (const [changes, code] of [
      [{ active: false }, 'target_inactive'],
      [{ active: true, may: ['start'] }, 'target_protected'],
      [{ may: [], orgId: 'umbrella' }, 'target_not_found'],
    ] as const) {
      change('alice', changes)
      expect(await by('root')).toBe(code)
    }
    change('alice', { orgId: 'acme' })
    rules.forbidden = true
    expect(await by('root')).toBe('not_allowed')
    rules.forbidden = false
    expect(await codeOf(rotate(token.id))).toBe('done')
  })

  it('of another organisation’s token, or of none, is 404, and all of it on record', async () => {
    const { issue, tokens, caller, events } = world()
    const { token, secret } = await issue('bob')
    expect(await codeOf(tokens.rotate(caller('acme-admin'), token.id))).toBe('token_not_found')
    // What somebody takes for an id may be a secret.
    expect(await codeOf(tokens.rotate(caller('root'), secret))).toBe('token_not_found')
    expect(await codeOf(tokens.rotate(caller('mallory'), 'x'))).toBe('not_allowed')
    const refused = await events('impersonation.refused')
    expect(
      refused.map(({ actorId, targetUserId, code, details }) => [
        actorId,
        targetUserId,
        code,
        details.token_id,
      ]),
    ).toEqual(
      expect.arrayContaining([
        ['acme-admin', 'bob', 'token_not_found', token.id],
        ['root', null, 'token_not_found', null],
        ['mallory', null, 'not_allowed', null],
      ]),
    )
    expect(JSON.stringify(refused)).not.toContain(secret)
    expect(refused).toHaveLength(3)
  })
})

describe('a service', () => {
  it('rotates by nothing but its own token, in the name of whoever issued it', async () => {
    const { issue, rotateOwn, line, events, clock } = world()
    const first = await issue('robot')
    expect(first.token.expiresAt).toBe(noon + day)
    clock.tick(23 * hour)
    const next = await rotateOwn(first.secret)
    expect(next.token).toMatchObject({
      userId: 'robot',
      userOrgId: 'umbrella',
      issuedBy: 'root',
      expiresAt: noon + 23 * hour + day,
    })
    expect(await line(next.secret)).toBe('robot')
    const [event] = await events('token.rotated')
    expect(event).toMatchObject({ actorId: 'robot', targetUserId: 'robot', actorOrgId: 'umbrella' })
    // And on and on.
    clock.tick(23 * hour)
    expect(await line((await rotateOwn(next.secret)).secret)).toBe('robot')
  })

  it('not twice by the same, and not by that of another', async () => {
    const { issue, rotateOwn, tokens, contextOf, events } = world()
    const [one, other] = [await issue('robot'), await issue('robot')]
    const own = await contextOf(one.secret)
    expect(await codeOf(tokens.rotateOwn(own, other.token.id))).toBe('token_not_found')
    await rotateOwn(one.secret)
    expect(await codeOf(rotateOwn(one.secret))).toBe('token_not_active')
    expect(
      (await events('impersonation.refused')).map(({ code, details }) => [code, details]),
    ).toEqual(
      expect.arrayContaining([
        ['token_not_found', { attempt: 'token', token_id: one.token.id }],
        ['token_not_active', { attempt: 'token', token_id: one.token.id }],
      ]),
    )
  })

  it('as often as the limit allows, at once or one after the other', async () => {
    const { issue, rotateOwn } = world({ rateLimit: { starts: 2, perMs: hour } })
    const [one, other] = [await issue('robot'), await issue('robot')]
    const next = await rotateOwn(one.secret)
    const codes = await Promise.all(
      [next.secret, other.secret].map((secret) => codeOf(rotateOwn(secret))),
    )
    expect(codes.toSorted()).toEqual(['done', 'rate_limited'])
  })

  it('a person does not, nor anybody where no rule tells services', async () => {
    for (const options of [{}, { apiTokens }]) {
      const { issue, rotateOwn, events } = world(options)
      const who = 'apiTokens' in options ? 'robot' : 'alice'
      const { token, secret } = await issue(who)
      expect(await codeOf(rotateOwn(secret))).toBe('not_allowed')
      const [refused] = await events('impersonation.refused')
      expect(refused).toMatchObject({
        actorId: who,
        targetUserId: who,
        details: { token_id: token.id },
      })
    }
  })
})

describe('taking back', () => {
  it('ends it and tells by whom, once', async () => {
    const { issue, tokens, caller, line, clock, events } = world()
    const { token, secret } = await issue()
    clock.tick(minute)
    const revoked = await tokens.revoke(caller('boss'), token.id)
    expect(revoked).toEqual({
      ...token,
      revokedAt: noon + minute,
      revokedBy: 'boss',
      revision: 2,
    })
    expect(await line(secret)).toBe('401 token_invalid')
    clock.tick(minute)
    expect(await tokens.revoke(caller('root'), token.id)).toEqual(revoked)
    expect(
      (await events('token.revoked')).map(({ actorId, targetUserId, at, details }) => [
        actorId,
        targetUserId,
        at,
        details,
      ]),
    ).toEqual([
      [
        'boss',
        'alice',
        noon + minute,
        {
          token_id: token.id,
          token_prefix: token.prefix,
          scopes: 'read upload',
          expires_at: token.expiresAt,
        },
      ],
    ])
  })

  it('tells when it was used, to the last request', async () => {
    const { issue, line, revoke } = world()
    const { token, secret } = await issue()
    await line(secret)
    expect((await revoke(token.id)).lastUsedAt).toBe(noon)
  })

  it('ends what it was rotated into, however often, and leaves alone what is over by itself', async () => {
    const { issue, rotate, rotateOwn, line, revoke, read, clock, events } = world()
    const first = await issue('robot')
    const second = await rotate(first.token.id)
    clock.tick(2 * hour)
    const third = await rotateOwn(second.secret)
    const fourth = await rotateOwn(third.secret)
    clock.tick(minute)
    await revoke(first.token.id)
    for (const { secret } of [first, second, third, fourth])
      expect(await line(secret)).toBe('401 token_invalid')
    const ended = (await events('token.revoked')).map(({ details }) => details.token_id)
    expect(ended.toSorted()).toEqual(
      [first, second, third, fourth].map(({ token }) => token.id).toSorted(),
    )
    expect((await read(fourth.token.id))?.revokedBy).toBe('root')
    // The second was within its overlap; two hours later it would not have been touched.
    const again = await issue('robot')
    const next = await rotate(again.token.id)
    const last = await rotate(next.token.id)
    clock.tick(2 * hour)
    await revoke(again.token.id)
    expect((await read(next.token.id))?.revokedAt).toBeNull()
    expect(await line(last.secret)).toBe('401 token_invalid')
  })

  it('does not end what it came from', async () => {
    const { issue, rotate, line, revoke } = world()
    const first = await issue()
    const next = await rotate(first.token.id)
    await revoke(next.token.id)
    expect([await line(first.secret), await line(next.secret)]).toEqual([
      'alice',
      '401 token_invalid',
    ])
  })

  it('goes on to what is alive, where a link in between was deleted', async () => {
    const { issue, rotate, revoke, store, line } = world()
    const first = await issue()
    const next = await rotate(first.token.id)
    const inner = store.tokens as NonNullable<Store['tokens']>
    const readToken = async (id: string) => (id === next.token.id ? null : inner.readToken(id))
    const without = world({ store: { ...store, tokens: { ...inner, readToken } } })
    expect(await codeOf(without.tokens.revoke(without.caller('root'), first.token.id))).toBe('done')
    expect(await line(first.secret)).toBe('401 token_invalid')
    await revoke(next.token.id)
  })

  it('works while it is rotated: nothing of it is left', async () => {
    const { issue, another, caller, tokens, line } = world({ rateLimit: false })
    for (let n = 0; n < 20; n++) {
      const { token, secret } = await issue()
      const [rotated] = await Promise.all([
        another()
          .tokens.rotate(caller('root'), token.id)
          .catch((error: unknown) => {
            if (!isImpersonationError(error)) throw error
            expect(error.code).toBe('token_not_active')
          }),
        tokens.revoke(caller('boss'), token.id),
      ])
      expect(await line(secret, another())).toBe('401 token_invalid')
      if (rotated) expect(await line(rotated.secret, another())).toBe('401 token_invalid')
    }
  })

  it('works where somebody else changes it in the same moment', async () => {
    const inner = memoryStore()
    const section = inner.tokens as NonNullable<Store['tokens']>
    let before = async () => {}
    const store: Store = {
      ...inner,
      tokens: {
        ...section,
        async changeToken(change, events) {
          const first = before
          before = async () => {}
          await first()
          return section.changeToken(change, events)
        },
      },
    }
    const { issue, rotate, revoke, line, events } = world({}, store)
    const { token, secret } = await issue()
    let next = ''
    before = async () => {
      next = (await rotate(token.id)).secret
    }
    await revoke(token.id)
    expect(next).not.toBe('')
    for (const one of [secret, next]) expect(await line(one)).toBe('401 token_invalid')
    expect(await events('token.revoked')).toHaveLength(2)
  })

  it('gives up, and says so, where it is changed without end', async () => {
    const inner = memoryStore()
    const section = inner.tokens as NonNullable<Store['tokens']>
    const changeToken = async () => false
    const { issue, revoke } = world({}, { ...inner, tokens: { ...section, changeToken } })
    const { token } = await issue()
    expect(await codeOf(revoke(token.id))).toBe('impersonation_unavailable')
  })

  it('works without the event, which follows', async () => {
    const inner = memoryStore()
    const section = inner.tokens as NonNullable<Store['tokens']>
    let broken = false
    const store: Store = {
      ...inner,
      appendEvents: async (events) =>
        broken ? Promise.reject(new Error('no events')) : inner.appendEvents(events),
      tokens: {
        ...section,
        changeToken: async (change, events) =>
          broken && events.length > 0
            ? Promise.reject(new Error('no events'))
            : section.changeToken(change, events),
      },
    }
    const { issue, revoke, line, engine, events } = world({}, store)
    const { token, secret } = await issue()
    broken = true
    expect((await revoke(token.id)).revokedAt).toBe(noon)
    expect(await line(secret)).toBe('401 token_invalid')
    expect(await events('token.revoked')).toEqual([])
    broken = false
    await engine.reap()
    expect((await events('token.revoked')).map(({ details }) => details.token_id)).toEqual([
      token.id,
    ])
  })

  it('is for those who may issue, within their reach', async () => {
    const { issue, tokens, caller, line } = world()
    const [acme, other] = [await issue('alice'), await issue('bob')]
    const by = (who: string, id: string) => codeOf(tokens.revoke(caller(who), id))
    expect(await by('sup', acme.token.id)).toBe('not_allowed')
    expect(await by('alice', acme.token.id)).toBe('not_allowed')
    expect(await by('acme-admin', other.token.id)).toBe('token_not_found')
    expect(await by('root', 'unknown')).toBe('token_not_found')
    expect(await by('root', other.secret)).toBe('token_not_found')
    expect([await line(acme.secret), await line(other.secret)]).toEqual(['alice', 'bob'])
    expect(await by('acme-admin', acme.token.id)).toBe('done')
    expect(await line(acme.secret)).toBe('401 token_invalid')
  })

  it('needs nobody who is there: for somebody gone, inactive or promoted, and while impersonating', async () => {
    const { issue, users, change, start, tokens, caller } = world()
    const made = await Promise.all(['alice', 'bob', 'carol'].map((id) => issue(id)))
    users.delete('alice')
    change('bob', { active: false })
    change('carol', { may: ['start'] })
    await start('root', 'robot')
    for (const { token } of made)
      expect((await tokens.revoke(caller('root'), token.id)).revokedAt).toBe(noon)
  })
})

describe('owners', () => {
  it('see theirs and take them back, nobody else’s', async () => {
    const { issue, tokens, caller, line, clock } = world()
    const first = await issue('alice')
    clock.tick(minute)
    const second = await issue('alice')
    await issue('bob')
    const mine = await tokens.mine(caller('alice'), { limit: 10 })
    expect(mine).toEqual([second.token, first.token])
    expect(await tokens.mine(caller('mallory'), { limit: 10 })).toEqual([])
    const take = (who: string, id: string) => codeOf(tokens.revokeMine(caller(who), id))
    expect(await take('bob', first.token.id)).toBe('token_not_found')
    expect(await take('root', first.token.id)).toBe('token_not_found')
    expect(await take('alice', 'unknown')).toBe('token_not_found')
    expect(await line(first.secret)).toBe('alice')
    expect(await take('alice', first.token.id)).toBe('done')
    expect(await take('alice', first.token.id)).toBe('done')
    expect([await line(first.secret), await line(second.secret)]).toEqual([
      '401 token_invalid',
      'alice',
    ])
  })

  it('not while somebody else is there as them', async () => {
    const { issue, tokens, caller, start, send, engine, users } = world()
    const { token } = await issue('alice')
    const take = () => codeOf(tokens.revokeMine(caller('alice'), token.id))
    await start('root', 'alice', { accessLevel: 'full' })
    const { context } = await send('root')
    expect(await engine.run(context ?? null, take)).toBe('nested_impersonation')
    const alice = { ...users.get('alice'), act: { sub: 'root' } } as never
    expect(await codeOf(tokens.revokeMine(caller(alice), token.id))).toBe('nested_impersonation')
    expect(await take()).toBe('done')
  })
})

describe('the list', () => {
  it('is of those within reach, newest first, by owner and by issuer', async () => {
    const { issue, tokens, caller, clock, change, start } = world()
    const made = []
    for (const id of ['alice', 'bob', 'alice', 'robot']) {
      made.push((await issue(id)).token)
      clock.tick(1)
    }
    made.push(
      (await tokens.issue(caller('boss'), { userId: 'bob', name: 'b', scopes: ['read'] })).token,
    )
    const [alice, bob, alice2, robot, bob2] = made
    const list = (who: string, filter = {}) => tokens.list(caller(who), filter, { limit: 10 })
    expect(await list('root')).toEqual([bob2, robot, alice2, bob, alice])
    expect(await list('root', { userId: 'alice' })).toEqual([alice2, alice])
    expect(await list('root', { issuedBy: 'boss' })).toEqual([bob2])
    expect(await list('root', { userId: 'alice', issuedBy: 'boss' })).toEqual([])
    expect(await list('root', { orgId: 'umbrella' })).toEqual([robot])
    expect(await list('acme-admin')).toEqual([alice2, alice])
    expect(await list('acme-admin', { userId: 'bob' })).toEqual([])
    expect(await list('acme-admin', { orgId: 'umbrella' })).toEqual([])
    change('alice', { orgId: 'umbrella' })
    expect(await list('acme-admin')).toEqual([])
    change('alice', { orgId: 'acme' })
    for (const who of ['sup', 'alice', 'mallory'])
      expect(await codeOf(list(who))).toBe('not_allowed')
    await start('root', 'bob')
    expect(await list('root')).toHaveLength(5)
  })

  it('is of those whom the caller may issue for, each once, however far apart they lie', async () => {
    const { issue, tokens, caller, users, clock } = world({
      rateLimit: false,
      can: (user, action, target) =>
        user.may?.includes(action) ||
        // Everybody for themselves, and the lead for whom they lead.
        (action === 'issue_token' &&
          (target?.id === user.id || (user.role === 'lead' && target?.role === 'led'))),
    })
    for (const [id, role] of [
      ['lead', 'lead'],
      ['x', 'led'],
      ['y', 'free'],
    ] as const)
      users.set(id, { id, orgId: 'acme', role })
    const made: string[] = []
    const owners = ['x', 'alice', 'y', 'lead', 'alice', 'x', ...Array(450).fill('y'), 'lead', 'x']
    for (const [n, owner] of owners.entries()) {
      made.push((await issue(owner)).token.id)
      // Some of them at the same moment.
      clock.tick(n % 2)
    }
    const of = (...ids: string[]) =>
      made.filter((_, n) => ids.includes(owners[n] as string)).toSorted()
    const list = async (who: string, limit = 20, before?: Place) =>
      tokens.list(caller(who), {}, before ? { limit, before } : { limit })
    const idsOf = (rows: readonly { id: string }[]) => rows.map(({ id }) => id)
    expect(idsOf(await list('alice')).toSorted()).toEqual(of('alice'))
    expect(idsOf(await list('lead')).toSorted()).toEqual(of('lead', 'x'))
    const seen: string[] = []
    for (let rows = await list('lead', 2); rows.length > 0; ) {
      expect(rows.length).toBeLessThanOrEqual(2)
      seen.push(...idsOf(rows))
      const { createdAt: at, id } = rows.at(-1) as ApiToken
      rows = await list('lead', 2, { at, id })
    }
    expect(seen).toEqual(idsOf(await list('lead')))
    // What alice may do for herself, she may do with nobody else's.
    for (const id of of('x', 'lead')) {
      expect(await codeOf(tokens.revoke(caller('alice'), id))).toBe('token_not_found')
      expect(await codeOf(tokens.rotate(caller('alice'), id))).toBe('token_not_found')
    }
  })

  it('tells when each was last used, also just now', async () => {
    const { issue, line, tokens, caller, clock } = world()
    const { secret } = await issue('alice')
    clock.tick(hour)
    await line(secret)
    const [token] = await tokens.list(caller('root'), {}, { limit: 1 })
    expect(token?.lastUsedAt).toBe(noon + hour)
    clock.tick(hour)
    await line(secret)
    expect((await tokens.mine(caller('alice'), { limit: 1 }))[0]?.lastUsedAt).toBe(noon + 2 * hour)
  })
})
