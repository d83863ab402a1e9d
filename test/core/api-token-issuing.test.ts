import { describe, expect, it } from 'vitest'
import {
  type ApiTokenContext,
  type ImpersonationError,
  type ImpersonationOptions,
  memoryStore,
} from '../../src/index.ts'
import { apiTokens, tokenedWorld } from '../support/api-tokens.ts'
import { codeOf, day, hour, minute, noon, second, type User } from '../support/core-world.ts'

type Options = Partial<ImpersonationOptions<User>>

const ask = { userId: 'alice', name: 'nightly upload', scopes: ['read'] }

/** `root` issues for all; `acme-admin` in their own organisation, where alice is and carol is not. */
function world(options: Options = {}) {
  const tokened = tokenedWorld({
    can: (user, action, target) =>
      user.may?.includes(action) ||
      (action === 'issue_token' && user.role === 'org-admin' && target?.orgId === user.orgId),
    ...options,
  })
  tokened.users.set('acme-admin', { id: 'acme-admin', role: 'org-admin', orgId: 'acme' })
  tokened.change('alice', { orgId: 'acme' })
  tokened.change('carol', { orgId: 'umbrella' })
  const { engine } = tokened
  return {
    ...tokened,
    tokens: engine.tokens,
    as: (who: string | User, more: object = ask) =>
      codeOf(engine.tokens.issue(tokened.caller(who), { ...ask, ...more })),
    async refusals() {
      const filter = { action: 'impersonation.refused' } as const
      return tokened.store.listEvents(filter, { limit: 100 })
    },
    all: () => tokened.store.tokens?.listTokens({}, { limit: 1000 }),
  }
}

describe('a token that is issued', () => {
  it('is the one that was asked for, good from now on', async () => {
    const { issue, line, all } = world()
    const { token, secret } = await issue('alice', { scopes: ['upload', 'read'] })
    expect(token).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      userId: 'alice',
      userOrgId: 'acme',
      name: 'nightly upload',
      prefix: secret.slice(0, 'pv_test_'.length + 4),
      scopes: ['upload', 'read'],
      issuedBy: 'root',
      createdAt: noon,
      expiresAt: noon + 90 * day,
      lastUsedAt: null,
      revokedAt: null,
      revokedBy: null,
      replacedBy: null,
      revision: 1,
    })
    expect(secret).toMatch(/^pv_test_[0-9A-Za-z]{49}$/)
    expect(await line(secret)).toBe('alice')
    expect(await all()).toEqual([token])
    expect(JSON.stringify(await all())).not.toContain(secret.slice(token.prefix.length))
  })

  it('is another one each time', async () => {
    const { issue } = world()
    const made = await Promise.all(Array.from({ length: 50 }, () => issue()))
    expect(new Set(made.map(({ secret }) => secret)).size).toBe(50)
    expect(new Set(made.map(({ token }) => token.id)).size).toBe(50)
  })

  it('is on record with both people, and with nothing that people wrote', async () => {
    const { engine, store, caller } = world()
    const meta = { ipAddress: '192.0.2.7', userAgent: 'a browser', clientId: null, requestId: 'r7' }
    const by = { ...caller('root'), meta }
    const { token, secret } = await engine.tokens.issue(by, ask)
    const events = await store.listEvents({}, { limit: 10 })
    expect(events).toEqual([
      {
        id: expect.any(String),
        at: noon,
        action: 'token.issued',
        outcome: 'success',
        code: null,
        actorId: 'root',
        targetUserId: 'alice',
        actorOrgId: null,
        targetOrgId: 'acme',
        sessionId: null,
        grantId: null,
        reason: null,
        ...meta,
        details: {
          token_id: token.id,
          token_prefix: token.prefix,
          scopes: 'read',
          expires_at: token.expiresAt,
        },
      },
    ])
    expect(JSON.stringify(events)).not.toContain(secret)
    expect(JSON.stringify(events)).not.toContain('nightly')
  })

  it('is not there without its event', async () => {
    const store = memoryStore()
    const inner = store.tokens as NonNullable<typeof store.tokens>
    const tokens = { ...inner, createToken: async () => Promise.reject(new Error('no events')) }
    const { as, all } = world({ store: { ...store, tokens } })
    expect(await as('root')).toBe('impersonation_unavailable')
    expect(await all()).toEqual([])
  })
})

describe('who may issue', () => {
  it.each<[string, User]>([
    ['nobody without the right', { id: 'sup', may: ['start', 'list', 'revoke'] }],
    ['nobody inactive', { id: 'root', may: ['issue_token'], active: false }],
    ['no admin of an organisation who is in none', { id: 'x', role: 'org-admin', orgId: null }],
  ])('%s', async (_, user) => {
    const { as, all } = world()
    expect(await as(user)).toBe('not_allowed')
    expect(await all()).toEqual([])
    // Nor do they learn what would be wrong, or who there is.
    expect(await as(user, { scopes: ['x'] })).toBe('not_allowed')
    expect(await as(user, { userId: 'nobody' })).toBe('not_allowed')
  })

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('no database')
      },
    ],
    ['rejects', async () => Promise.reject(new Error('no database'))],
    ['says something that is not true', () => 'yes'],
    ['says nothing', () => undefined],
  ])('nobody where `can` %s', async (_, said) => {
    const can = (_user: User, action: string) => (action === 'issue_token' ? said() : false)
    const { as } = world({ can: can as never })
    expect(await as('root')).toBe('not_allowed')
  })

  it('nobody whose login is itself an impersonation', async () => {
    const { as, users } = world()
    const root = users.get('root') as User
    for (const mark of [
      { act: { sub: 'boss' } },
      { impersonatedBy: 'boss' },
      { impersonated_by: 1 },
    ])
      expect(await as({ ...root, ...mark } as User)).toBe('nested_impersonation')
  })

  it('nobody who is impersonating somebody, until they stop or it is over', async () => {
    const { as, start, engine, caller, clock } = world()
    await start('root', 'bob', { durationMs: minute })
    expect(await as('root')).toBe('nested_impersonation')
    await engine.sessions.stop(caller('root'))
    expect(await as('root')).toBe('done')
    await start('root', 'bob', { durationMs: minute })
    clock.tick(minute)
    expect(await as('root')).toBe('done')
  })

  it('nobody from a handler that runs as somebody else, whoever it says is calling', async () => {
    const { as, send, start, engine, change } = world()
    change('bob', { may: ['issue_token'] })
    await start('root', 'bob', { accessLevel: 'full' })
    const { context } = await send('root')
    expect(context?.target.id).toBe('bob')
    for (const who of ['bob', 'root'])
      expect(await engine.run(context ?? null, () => as(who))).toBe('nested_impersonation')
    expect(await engine.run(null, () => as('bob'))).toBe('done')
  })

  it('nobody by an API token', async () => {
    const { as, issue, context, engine, change } = world()
    change('bob', { may: ['issue_token'] })
    const { secret } = await issue('bob')
    const byToken = (await context(secret)) as ApiTokenContext<User>
    expect(byToken.owner.id).toBe('bob')
    expect(await engine.run(byToken, () => as('bob'))).toBe('not_allowed')
  })

  it('nobody who believes in another session than there is', async () => {
    const { tokens, caller } = world()
    const pinned = (pin: string) => codeOf(tokens.issue({ ...caller('root'), pin }, ask))
    expect(await pinned('none')).toBe('done')
    expect(await pinned('a-session')).toBe('impersonation_state_changed')
  })

  it('nobody whose login is too old, where that matters; taking back needs none', async () => {
    let authTime: number | undefined = noon
    const { as, tokens, issue, caller, clock } = world({
      freshAuth: { maxAgeMs: minute, authTime: () => authTime },
    })
    const { token } = await issue()
    clock.tick(minute)
    const rotate = () => codeOf(tokens.rotate(caller('root'), token.id))
    expect(await as('root')).toBe('done')
    clock.tick(1)
    const stale = 'insufficient_user_authentication'
    expect([await as('root'), await rotate()]).toEqual([stale, stale])
    for (const time of [undefined, Number.NaN, clock.wall + 1]) {
      authTime = time
      expect([await as('root'), await rotate()]).toEqual([stale, stale])
    }
    expect(await codeOf(tokens.revoke(caller('root'), token.id))).toBe('done')
    expect(await codeOf(tokens.list(caller('root'), {}, { limit: 1 }))).toBe('done')
  })
})

describe('for whom', () => {
  it.each<[string, string, Partial<User>]>([
    ['target_not_found', 'nobody', {}],
    ['target_not_found', 'Alice', {}],
    ['target_not_found', 'alice ', {}],
    ['target_inactive', 'alice', { active: false }],
    ['target_protected', 'sup', {}],
    ['target_protected', 'root', {}],
    ['target_protected', 'alice', { may: ['start'] }],
  ])('%s: %s %j', async (code, userId, changes) => {
    const { as, change, users, all } = world()
    if (users.has(userId)) change(userId, changes)
    expect(await as('root', { userId })).toBe(code)
    expect(await all()).toEqual([])
  })

  it('nobody of whom it can not be told that they are not privileged', async () => {
    const { as } = world({
      can(user, action) {
        if (user.id === 'alice') throw new Error('no database')
        return user.may?.includes(action)
      },
    })
    expect(await as('root')).toBe('target_protected')
  })

  it('nobody whom the caller may not issue for', async () => {
    const { as } = world({
      can: (_, action, target) => action === 'issue_token' && target?.id !== 'alice',
    })
    expect(await as('root')).toBe('not_allowed')
    expect(await as('root', { userId: 'bob' })).toBe('done')
  })

  it('nobody whom consent is forbidden for; where it is required they are not asked', async () => {
    const { as } = world({
      consent: (actor, target) =>
        actor.id === 'root' && target.id === 'alice' ? 'forbidden' : 'required',
    })
    expect(await as('root')).toBe('not_allowed')
    expect(await as('root', { userId: 'bob' })).toBe('done')
    expect(await world({ consent: 'required' }).as('root')).toBe('done')
  })

  it('nobody while the rule of consent, or the users, can not be asked', async () => {
    const fault = () => {
      throw new Error('no database')
    }
    const { as, refusals } = world({ consent: fault })
    expect(await as('root')).toBe('impersonation_unavailable')
    expect(await world({ findUser: fault }).as('root')).toBe('impersonation_unavailable')
    expect(await refusals()).toEqual([])
  })

  it('an admin of an organisation reaches those in it, and learns of nobody else', async () => {
    const { as, change, users, all } = world()
    expect(await as('acme-admin')).toBe('done')
    for (const userId of ['carol', 'bob', 'sup', 'nobody'])
      expect([userId, await as('acme-admin', { userId })]).toEqual([userId, 'target_not_found'])
    change('carol', { active: false })
    expect(await as('acme-admin', { userId: 'carol' })).toBe('target_not_found')
    users.set('chief', { id: 'chief', orgId: 'acme', may: ['start'] })
    expect(await as('acme-admin', { userId: 'chief' })).toBe('target_protected')
    expect((await all())?.map(({ userId, userOrgId }) => [userId, userOrgId])).toEqual([
      ['alice', 'acme'],
    ])
  })

  it('of somebody who is in two organisations, the token is of the one of whoever issues it', async () => {
    const orgs: Record<string, string[]> = { alice: ['umbrella', 'acme'] }
    const { tokens, caller } = world({
      findUser(id, scope) {
        const orgId = scope?.orgId ?? orgs[id]?.[0] ?? ''
        return orgs[id]?.includes(orgId) ? { id, orgId } : null
      },
    })
    const admin = caller('acme-admin')
    const { token } = await tokens.issue(admin, ask)
    expect([token.userId, token.userOrgId]).toEqual(['alice', 'acme'])
    // Whoever can issue it can see it, rotate it and take it back; not the one of the other organisation.
    const other = await tokens.issue(caller('root'), ask)
    expect(other.token.userOrgId).toBe('umbrella')
    const list = () => tokens.list(admin, {}, { limit: 9 })
    expect(await list()).toEqual([token])
    expect(await codeOf(tokens.revoke(admin, other.token.id))).toBe('token_not_found')
    const next = await tokens.rotate(admin, token.id)
    expect(next.token.userOrgId).toBe('acme')
    expect((await tokens.revoke(admin, token.id)).revokedBy).toBe('acme-admin')
    // Of whoever has left they are no business; of an account that is gone they still are.
    orgs.alice = ['umbrella']
    expect(await list()).toEqual([])
    orgs.alice = []
    expect(await list()).toHaveLength(2)
  })
})

describe('how many', () => {
  const rateLimit = { starts: 3, perMs: hour }

  it('issued and rotated count alike, on every process, each admin for themselves', async () => {
    const { as, tokens, issue, another, caller, change, clock } = world({ rateLimit })
    change('boss', { may: ['start', 'issue_token'] })
    const { token } = await issue()
    clock.tick(minute)
    await tokens.rotate(caller('root'), token.id)
    clock.tick(minute)
    await another().tokens.issue(caller('root'), ask)
    const refused = await tokens
      .issue(caller('root'), ask)
      .catch((error: ImpersonationError) => error)
    expect(refused).toMatchObject({
      code: 'rate_limited',
      headers: { 'Retry-After': String((hour - 2 * minute) / second) },
    })
    expect(await codeOf(tokens.rotate(caller('root'), token.id))).toBe('rate_limited')
    expect(await as('boss')).toBe('done')
    // What was refused does not count, what is taken back does.
    await tokens.revoke(caller('root'), token.id)
    clock.tick(hour - 2 * minute)
    expect(await as('root')).toBe('rate_limited')
    clock.tick(1)
    expect(await as('root')).toBe('done')
    expect(await as('root')).toBe('rate_limited')
  })

  it('also where all are asked for at once', async () => {
    const { as } = world({ rateLimit })
    const codes = await Promise.all(Array.from({ length: 10 }, () => as('root')))
    expect(codes.filter((code) => code === 'done')).toHaveLength(3)
    expect(codes.filter((code) => code === 'rate_limited')).toHaveLength(7)
  })

  it('sessions that were started are counted apart', async () => {
    const { as, start, engine, caller } = world({ rateLimit })
    for (const user of ['alice', 'bob', 'alice']) await start('root', user)
    await engine.sessions.stop(caller('root'))
    for (let n = 0; n < 3; n++) expect(await as('root')).toBe('done')
    expect(await as('root')).toBe('rate_limited')
  })

  it('any number, where there is no limit', async () => {
    const { as } = world({ rateLimit: false })
    for (let n = 0; n < 40; n++) expect(await as('root')).toBe('done')
  })
})

describe('what is refused is on record', () => {
  it('with who tried, for whom, and that it was a token', async () => {
    const { as, refusals } = world()
    await as('mallory', { userId: 'alice' })
    await as('root', { userId: 'sup' })
    await as('root', { scopes: ['everything'] })
    expect(
      (await refusals()).map(({ actorId, targetUserId, code, details }) => [
        [actorId, targetUserId, code],
        details,
      ]),
    ).toEqual(
      expect.arrayContaining([
        [['mallory', 'alice', 'not_allowed'], { attempt: 'token', token_id: null }],
        [['root', 'sup', 'target_protected'], { attempt: 'token', token_id: null }],
        [['root', 'alice', 'invalid_request'], { attempt: 'token', token_id: null }],
      ]),
    )
    expect(await refusals()).toHaveLength(3)
  })
})

it('without the option, each verb says so', async () => {
  const { tokens, caller, store } = world({ apiTokens: undefined as never })
  const by = caller('root')
  const page = { limit: 5 }
  for (const call of [
    tokens.issue(by, ask),
    tokens.list(by, {}, page),
    tokens.revoke(by, 'x'),
    tokens.rotate(by, 'x'),
    tokens.users(by, { query: '', limit: 5, cursor: null }),
    tokens.mine(by, page),
    tokens.revokeMine(by, 'x'),
  ])
    expect(await codeOf(call)).toBe('route_not_found')
  expect(await store.listEvents({}, { limit: 9 })).toEqual([])
})

it('an engine whose prefix changed takes older tokens for none', async () => {
  const { issue, line, another } = world()
  const { secret } = await issue()
  const other = another({ apiTokens: { ...apiTokens, prefix: 'pv_live_' } })
  expect(await line(secret, other)).not.toBe('alice')
})
