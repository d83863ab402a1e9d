import { afterEach, describe, expect, it } from 'vitest'
import { closeHosts, hosts, hostWith } from '../support/token-hosts.ts'

/** API tokens beside the logins that are out there, each of which reads `Authorization: Bearer`. */

afterEach(closeHosts)

describe.each(Object.keys(hosts))('%s', (name) => {
  describe.each(['authenticate', 'aside'] as const)('wired by "%s"', (wiring) => {
    it('runs our token as its owner, its own as its user, and decides on all others', async () => {
      const { call, login, issue, looked } = await hostWith(name, wiring)
      const { secret: token } = await issue('alice', ['read'])
      expect((await call(token, 'GET /me')).json).toEqual(['alice', null])
      expect((await call(token, 'POST /me')).json).toEqual(['alice', null])
      expect(looked).toEqual([])
      for (const id of ['root', 'alice', 'mallory'])
        expect((await call(login(id), 'GET /me')).json).toEqual([id, null])
      expect(looked).toHaveLength(3)
      for (const none of [null, 'x', 'pv_live', login('nobody').slice(0, -3)])
        expect([none, (await call(none, 'GET /me')).status]).toEqual([none, 401])
      expect(looked.some((each) => each?.includes('pv_live_'))).toBe(false)
    })

    it('takes the token for who is there, whoever else is logged in', async () => {
      const { call, issue } = await hostWith(name, wiring)
      const { secret: token } = await issue('alice', ['read'])
      for (const cookie of ['root', 'mallory', 'alice']) {
        expect((await call(token, 'GET /me', undefined, cookie)).json).toEqual(['alice', null])
        const ask = { target_user_id: 'mallory', reason: 'r' }
        const start = await call(token, 'POST /impersonation/start', ask, cookie)
        expect([start.status, start.json.code]).toEqual([403, 'not_allowed'])
      }
    })

    it('wants scopes of our tokens only', async () => {
      const { call, login, issue, mint } = await hostWith(name, wiring)
      const [reads, uploads] = [await issue('alice', ['read']), await issue('alice', ['upload'])]
      for (const cookie of [undefined, 'root']) {
        const refused = await call(reads.secret, 'POST /files', undefined, cookie)
        expect([refused.status, refused.json.code]).toEqual([403, 'insufficient_scope'])
        const done = await call(uploads.secret, 'POST /files', undefined, cookie)
        expect(done.json).toEqual(['alice', 'a script'])
      }
      expect((await call(login('mallory'), 'POST /files')).json).toEqual(['mallory', null])
      expect((await call(null, 'POST /files')).status).toBe(401)
      // It may look and not touch; what refuses it is the level, not the scope.
      expect((await call(await mint(), 'POST /files')).json.code).toBe('grant_view_only')
    })

    it('never hands on what looks like ours, and is over or wrong', async () => {
      const { call, login, issue, looked, impersonation } = await hostWith(name, wiring)
      const { secret: token, token: stored } = await issue('alice', ['read'])
      const caller = impersonation.caller({ id: 'root', may: ['issue_token'] })
      await impersonation.tokens.revoke(caller, stored.id)
      for (const bad of [token, `${token}x`, token.slice(0, -1), 'pv_live_', `"${token}"`])
        for (const cookie of [undefined, 'root', 'alice']) {
          const { status, json } = await call(bad, 'POST /me', undefined, cookie)
          expect([bad, status, json.code]).toEqual([bad, 401, 'token_invalid'])
        }
      expect(looked).toEqual([])
      expect((await call(login('alice'), 'POST /me')).json).toEqual(['alice', null])
    })

    it('lets a login stand beside a token of the same user, and of nobody else', async () => {
      const { call, login, issue } = await hostWith(name, wiring)
      const { secret: token } = await issue('alice', ['read'])
      const ask = { target_user_id: 'alice', reason: 'r' }
      expect((await call(login('root'), 'POST /impersonation/start', ask)).status).toBe(201)
      expect((await call(login('root'), 'GET /me')).json).toEqual(['alice', 'root'])
      // The owner's own program, while somebody impersonates the owner.
      expect((await call(token, 'POST /me')).json).toEqual(['alice', null])
      expect((await call(login('alice'), 'POST /me')).json).toEqual(['alice', null])
    })
  })

  it('that knows of nothing refuses our token by itself', async () => {
    const { call, issue } = await hostWith(name, 'above')
    const { secret: token } = await issue('alice', ['read', 'upload'])
    for (const route of ['GET /me', 'POST /files'])
      expect([route, (await call(token, route)).status]).toEqual([route, 401])
  })
})
