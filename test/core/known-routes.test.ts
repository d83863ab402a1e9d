import { describe, expect, it } from 'vitest'
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
  it.each<[string, string | string[], string]>([
    ['POST /account/password', 'POST', '/account/pasword'],
    ['POST /account/password', 'GET', '/account/password'],
    ['POST /account/password', 'POST', '/api/account/password'],
    ['POST /account/password', 'POST', '/account'],
    ['POST /account', 'POST', '/account/password'],
    ['PATCH /users/:id/email', ['GET', 'PUT'], '/users/:id/email'],
    ['PATCH /users/:id/email', 'PATCH', '/users/:id/mail'],
    ['* /billing/*', 'POST', '/bills/:id'],
    // A layer for everything is no route.
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
