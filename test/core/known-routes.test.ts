import { describe, expect, it, vi } from 'vitest'
import { guardrailKinds } from '../../src/index.ts'
import { worldOf } from '../support/core-world.ts'

const none = Object.fromEntries(guardrailKinds.map((kind) => [kind, []])) as never as Record<
  (typeof guardrailKinds)[number],
  readonly never[]
>

const unused = (pattern: string, ...routes: [method: string | string[], path: string][]) =>
  worldOf({ guardrails: { ...none, payment: [pattern as never] } }).engine.checkRoutes(
    routes.map(([method, path]) => ({ method, path })),
  ).length === 1

describe('a pattern that no route is meant by', () => {
  it('is warned of once, with its option', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const { engine } = worldOf({
      guardrails: { ...none, email: ['POST /b'] },
      keepActorRoutes: ['GET /d'],
    })
    engine.checkRoutes([
      { method: 'POST', path: '/b' },
      { method: 'GET', path: '/d' },
    ])
    expect(warn).not.toHaveBeenCalled()
    engine.checkRoutes([])
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      'no route of this app is meant by guardrails.email: "POST /b", keepActorRoutes: "GET /d"; ' +
        'look for a typo or a missing prefix (patterns are whole paths) (see the README, section "Warnings", ONBEHALF_UNUSED_PATTERN)',
      { type: 'OnbehalfWarning', code: 'ONBEHALF_UNUSED_PATTERN' },
    )
  })

  it.each<[string, string | string[], string]>([
    ['POST /account/password', 'POST', '/account/pasword'],
    ['POST /account/password', 'GET', '/account/password'],
    ['POST /account/password', 'POST', '/api/account/password'],
    ['POST /account/password', 'POST', '/account'],
    ['POST /account', 'POST', '/account/password'],
    ['PATCH /users/:id/email', ['GET', 'PUT'], '/users/:id/email'],
    ['PATCH /users/:id/email', 'PATCH', '/users/:id/mail'],
    ['* /billing/*', 'POST', '/bills/:id'],
    ['GET /report', 'POST', '/report'],
    ['HEAD /report', 'POST', '/report'],
    ['POST /a/b', 'POST', '/a'],
    ['POST /a', 'POST', '/a/b'],
    ['POST /a/c', 'POST', '/a/:id?/b'],
    // A layer for everything is no route.
    ['POST /acount', '*', '/*'],
    ['POST /acount', 'ALL', '/*'],
    ['POST /api/acount', 'ALL', '/api/*'],
  ])('%s is told of among %s %s', (pattern, method, path) => {
    expect(unused(pattern, [method, path])).toBe(true)
  })

  it.each<[string, string | string[], string]>([
    ['POST /account/password', 'POST', '/Account/Password/'],
    ['POST /account/password', 'POST', '/account/:section'],
    ['POST /account/password', ['PUT', 'POST'], '/account/password'],
    ['POST /account/password', 'ALL', '/account/password'],
    ['POST /account/password', 'POST', '/account/*'],
    ['POST /account/password', 'POST', '*'],
    ['PATCH /users/:id/email', 'PATCH', '/users/:userId(\\d+)/email'],
    ['PATCH /users/:id', 'PATCH', '/users/:id?'],
    ['PATCH /users', 'PATCH', '/users/:id?'],
    ['* /billing/*', 'DELETE', '/billing/cards/:id'],
    ['* /billing/*', 'GET', '/billing'],
    ['HEAD /report', 'GET', '/report'],
    ['GET /report', 'HEAD', '/report'],
    ['POST /report', '*', '/report'],
    ['POST /report', 'post', '/report'],
    ['POST /a/b', 'POST', '/a/:id?/b'],
    ['POST /a/x/b', 'POST', '/a/:id?/b'],
    ['POST /files/a/b/c', 'POST', '/files/:rest*'],
    ['POST /', 'POST', '/'],
  ])('%s is content with %s %s', (pattern, method, path) => {
    expect(unused(pattern, ['GET', '/'], [method, path])).toBe(false)
  })

  it('is told of for every option that has patterns, as it was written', () => {
    const { engine } = worldOf({
      guardrails: { ...none, email: ['POST /a', 'POST /b'] },
      fullAccessRoutes: ['* /c'],
      keepActorRoutes: ['GET /d', 'GET /e/*'],
    })
    expect(engine.checkRoutes([{ method: 'POST', path: '/b' }])).toEqual([
      'POST /a',
      '* /c',
      'GET /d',
      'GET /e/*',
    ])
    expect(worldOf().engine.checkRoutes([])).toEqual([])
  })
})
