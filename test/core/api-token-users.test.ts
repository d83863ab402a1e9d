import { describe, expect, it } from 'vitest'
import type {
  ApiTokenOptions,
  ImpersonationError,
  ImpersonationOptions,
  UserQuery,
} from '../../src/index.ts'
import { apiTokens, tokenedWorld } from '../support/api-tokens.ts'
import { codeOf, type User } from '../support/core-world.ts'

const page = { query: '', limit: 50, cursor: null }

/** Whom `root` may choose, and `acme-admin` in their own organisation. */
function world(
  listUsers?: ApiTokenOptions<User>['listUsers'],
  options: Partial<ImpersonationOptions<User>> = {},
) {
  const asked: UserQuery[] = []
  const tokened = tokenedWorld({
    apiTokens: {
      ...apiTokens,
      listUsers(ask) {
        asked.push(ask)
        return listUsers ? listUsers(ask) : { users: [...tokened.users.values()] }
      },
    },
    can: (user, action, target) =>
      user.may?.includes(action) ||
      (action === 'issue_token' && user.role === 'org-admin' && target?.orgId === user.orgId),
    ...options,
  })
  tokened.users.set('acme-admin', { id: 'acme-admin', role: 'org-admin', orgId: 'acme' })
  tokened.change('alice', { orgId: 'acme' })
  const users = (who: string, ask = page) => tokened.engine.tokens.users(tokened.caller(who), ask)
  return {
    ...tokened,
    asked,
    users: tokened.users,
    list: users,
    ids: async (who: string) => (await users(who)).users.map(({ id }) => id),
  }
}

describe('the users to choose from', () => {
  it('are those whom a token can be issued for', async () => {
    const { ids, change, issue } = world()
    const all = ['alice', 'bob', 'carol', 'mallory', 'acme-admin']
    expect(await ids('root')).toEqual(all)
    for (const id of all) await issue(id)
    change('bob', { active: false })
    change('carol', { may: ['start'] })
    expect(await ids('root')).toEqual(['alice', 'mallory', 'acme-admin'])
  })

  it('not those whom the caller may not issue for, nor whom consent is forbidden for', async () => {
    const { ids } = world(undefined, {
      can: (user, action, target) =>
        action === 'issue_token' ? target?.id !== 'bob' : user.may?.includes(action),
      consent: (_, target) => {
        if (target.id === 'mallory') throw new Error('no database')
        return target.id === 'carol' ? 'forbidden' : 'required'
      },
    })
    expect(await ids('root')).toEqual(['alice', 'acme-admin'])
  })

  it('not those of whom it can not be told whether they are privileged', async () => {
    const { ids } = world(undefined, {
      can(user, action) {
        if (user.id === 'bob' && action === 'start') throw new Error('no database')
        return user.may?.includes(action)
      },
    })
    expect(await ids('root')).not.toContain('bob')
    expect(await ids('root')).toContain('alice')
  })

  it('for an admin of an organisation those in it, and the host is told which', async () => {
    const { ids, asked } = world()
    expect(await ids('acme-admin')).toEqual(['alice', 'acme-admin'])
    await ids('root')
    expect(asked.map(({ orgId }) => orgId)).toEqual(['acme', null])
  })

  it('are nobody’s business who issues nothing', async () => {
    const { list, asked } = world()
    for (const who of ['sup', 'alice', 'mallory'])
      expect(await codeOf(list(who))).toBe('not_allowed')
    expect(asked).toEqual([])
  })

  it('tell what describe tells, and no more of the record', async () => {
    const { list } = world(() => ({
      users: [
        {
          id: 'u',
          name: 'U',
          email: 'u@example.com',
          role: 'r',
          may: [],
          password: 'secret',
        } as User,
      ],
    }))
    expect(await list('root')).toEqual({
      users: [{ id: 'u', name: 'U', email: 'u@example.com', role: 'r', orgId: null, active: true }],
      nextCursor: null,
    })
  })

  it('come by pages: the host is asked as the caller asked, and its cursor handed on', async () => {
    const { list, asked } = world(({ cursor }) =>
      cursor === null
        ? { users: [{ id: 'a' }], nextCursor: 'after a' }
        : { users: [{ id: 'b' }], nextCursor: null },
    )
    const ask = { query: 'x y', limit: 7, cursor: null }
    expect(await list('root', ask)).toMatchObject({ users: [{ id: 'a' }], nextCursor: 'after a' })
    const next = await list('root', { ...ask, cursor: 'after a' } as never)
    expect(next).toMatchObject({ users: [{ id: 'b' }], nextCursor: null })
    expect(asked).toEqual([
      { ...ask, orgId: null },
      { ...ask, orgId: null, cursor: 'after a' },
    ])
  })
})

describe('a host that can not list them', () => {
  it.each<[string, () => never | Promise<never>]>([
    [
      'throws',
      () => {
        throw new Error('password=hunter2')
      },
    ],
    ['rejects', async () => Promise.reject(new Error('password=hunter2'))],
  ])('and %s: 503, in words that tell nothing of the fault', async (_, listUsers) => {
    const refusal = await world(listUsers)
      .list('root')
      .catch((error: ImpersonationError) => error)
    expect(refusal).toMatchObject({
      code: 'impersonation_unavailable',
      message: 'The users can not be listed at the moment. Try again soon.',
    })
    expect(JSON.stringify(refusal)).not.toContain('hunter2')
  })

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['an array', []],
    ['users that are none', { users: 'all' }],
    ['an empty cursor', { users: [], nextCursor: '' }],
    ['a number for a cursor', { users: [], nextCursor: 7 }],
    ['a cursor without end', { users: [], nextCursor: 'x'.repeat(1001) }],
  ])('and gives %s: a fault of the wiring that names the option', async (_, given) => {
    await expect(world(() => given as never).list('root')).rejects.toThrow(
      /^apiTokens\.listUsers must give/,
    )
  })
})

it('without `listUsers` there is no list', async () => {
  const { engine, caller } = tokenedWorld()
  expect(await codeOf(engine.tokens.users(caller('root'), page))).toBe('route_not_found')
})
