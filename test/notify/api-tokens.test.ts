import { beforeEach, expect, it } from 'vitest'
import type { ApiTokenRequest } from '../../src/index.ts'
import { apiTokens } from '../support/api-tokens.ts'
import { lines, stopTimers, toldWorld } from './support.ts'

beforeEach(stopTimers)

const ask: ApiTokenRequest = { userId: 'alice', name: 'nightly upload', scopes: ['read', 'upload'] }

/** `root` and `boss` issue, to people and to `robot`, who is a program. */
function world(options: Parameters<typeof toldWorld>[0] = {}) {
  const told = toldWorld({
    apiTokens: { ...apiTokens, services: { is: ({ role }) => role === 'service' } },
    ...options,
  })
  told.users.set('robot', { id: 'robot', role: 'service' })
  for (const id of ['root', 'boss']) told.change(id, { may: ['start', 'issue_token'] })
  return { ...told, root: told.caller('root'), alice: told.caller('alice') }
}

it('the owner is told of a token, by whom it was issued and until when, and nobody of its secret', async () => {
  const told = world()
  const { token, secret } = await told.engine.tokens.issue(told.root, ask)
  const sent = await told.deliver()
  expect(lines(sent)).toEqual(['alice mail token_issued'])
  expect(sent[0]).toMatchObject({
    kind: 'token_issued',
    reader: 'target',
    actor: { name: 'Rooty', role: 'admin' },
    target: { id: 'alice', name: 'Alice' },
    tokenPrefix: token.prefix,
    scopes: ['read', 'upload'],
    expiresAt: token.expiresAt,
    accessLevel: null,
    forced: false,
  })
  const all = JSON.stringify([sent, await told.deliveries()])
  expect(all).not.toContain(secret)
  expect(all).not.toContain('nightly upload')
  expect(all).not.toContain(token.id)
})

it('of what somebody else does to it, and of nothing that they do themselves', async () => {
  const told = world()
  const { tokens } = told.engine
  const { token } = await tokens.issue(told.root, ask)
  await told.deliver()
  const next = await tokens.rotate(told.caller('boss'), token.id)
  const [rotated] = await told.deliver()
  expect(rotated).toMatchObject({
    kind: 'token_rotated',
    tokenPrefix: next.token.prefix,
    expiresAt: next.token.expiresAt,
  })
  await tokens.revokeMine(told.alice, next.token.id)
  expect(await told.deliver()).toEqual([])
  const other = await tokens.issue(told.root, ask)
  await told.deliver()
  await tokens.revoke(told.caller('boss'), other.token.id)
  await tokens.revoke(told.caller('boss'), other.token.id)
  expect(lines(await told.deliver())).toEqual(['alice mail token_revoked'])
})

it('a service that rotates its own is not told each time', async () => {
  const told = world()
  const { tokens } = told.engine
  const { token } = await tokens.issue(told.root, { ...ask, userId: 'robot' })
  expect(lines(await told.deliver())).toEqual(['robot mail token_issued'])
  const { name, scopes, issuedBy, expiresAt } = token
  const own = { owner: told.users.get('robot') as never, id: token.id, name, issuedBy, expiresAt }
  await tokens.rotateOwn({ ...own, scopes }, token.id)
  expect(await told.deliver()).toEqual([])
})

it('whoever has issued one for themselves is told as its owner', async () => {
  const told = world()
  told.users.set('carol', { id: 'carol', name: 'Carol', role: 'lead', may: ['issue_token'] })
  await told.engine.tokens.issue(told.caller('carol'), { ...ask, userId: 'carol' })
  const [sent] = await told.deliver()
  expect(sent).toMatchObject({
    kind: 'token_issued',
    reader: 'target',
    userId: 'carol',
    actor: { name: 'Carol', role: 'lead' },
  })
})

it('displayActor decides what they learn of whoever issued it', async () => {
  const told = world({ displayActor: () => ({ name: 'the support' }) })
  await told.engine.tokens.issue(told.root, ask)
  const [sent] = await told.deliver()
  expect(sent?.subject).toBe('the support has issued an API token for your account')
  expect(JSON.stringify(sent)).not.toMatch(/Rooty|root/)
})

it('who can not be reached, or has opted out, is skipped', async () => {
  const told = world()
  told.ways.set('alice', [])
  told.ways.set('bob', [{ channel: 'mail', to: 'bob@example.com', optedOut: true }])
  for (const userId of ['alice', 'bob'])
    await told.engine.tokens.issue(told.root, { ...ask, userId })
  expect(await told.deliver()).toEqual([])
  expect((await told.deliveries()).map(({ status }) => status)).toEqual(['skipped', 'skipped'])
})
