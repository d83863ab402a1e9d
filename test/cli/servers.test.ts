import { readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { describeOn, dropDatabase, kinds, makeDatabase } from '../support/databases.ts'
import { type Desk, jsonLines, openDesk, spawned, urlOf } from './desk.ts'

// Each of many processes takes its time to start.
vi.setConfig({ testTimeout: 90_000 })

// Every command as a process of its own, on every server.
for (const kind of kinds) {
  describeOn(kind, 'the command line', () => {
    let desk: Desk
    beforeAll(async () => {
      desk = await openDesk(kind)
    })
    afterAll(() => desk.close())
    const run = (...argv: string[]) => spawned(argv, { ONBEHALF_DATABASE_URL: desk.url })

    it('migrates an empty database, and a second time does nothing', async () => {
      const address = await makeDatabase(kind)
      try {
        const env = { DATABASE_URL: urlOf(address) }
        const [first, again] = [
          await spawned(['migrate', '--json'], env),
          await spawned(['migrate'], env),
        ]
        expect(first).toMatchObject({ code: 0, err: '' })
        expect(JSON.parse(first.out)).toMatchObject({ from: 0, version: expect.any(Number) })
        expect(again.out).toMatch(/^The impersonation tables are at version \d+ already\.\n$/)
        expect((await spawned(['doctor'], env)).code).toBe(0)
      } finally {
        await dropDatabase(address)
      }
    })

    it('shows, previews and revokes sessions, exports the events and finds nothing wrong', async () => {
      const session = await desk.start({ actorId: 'root', targetUserId: 'alice', grantId: null })
      const shown = await run('sessions')
      expect(shown).toMatchObject({ code: 0, err: '' })
      expect(shown.out).toMatch(
        new RegExp(`^SESSION .*\n${session.id} +active +root +alice +view `),
      )

      const preview = await run('revoke', '--actor', 'root', '--dry-run')
      expect(preview).toMatchObject({ code: 0, err: '1 session would end. Nothing was changed.\n' })
      expect((await desk.store.readSession(session.id))?.status).toBe('active')

      const revoked = await run('revoke', session.id, '--note', 'a test')
      expect(revoked).toEqual({
        code: 0,
        out: `${session.id}: revoked (root as alice)\n`,
        err: '1 session ended.\n',
      })
      expect(await desk.store.readSession(session.id)).toMatchObject({
        status: 'revoked',
        endedReason: 'revoked',
        endedNote: 'a test',
        endedBy: null,
      })
      expect((await run('sessions')).err).toBe('No session matches.\n')
      const ended = jsonLines((await run('sessions', '--status', 'revoked', '--json')).out)
      expect(ended).toMatchObject([{ id: session.id, status: 'revoked', ended_by: null }])

      const exported = jsonLines((await run('export', '--session', session.id)).out)
      expect(exported.map(({ action }) => action)).toEqual([
        'impersonation.revoked',
        'impersonation.started',
      ])
      expect(exported[0]).toMatchObject({
        actor_id: 'root',
        target_user_id: 'alice',
        details: { ended_reason: 'revoked', ended_by: null, ended_note: 'a test', via: 'cli' },
      })

      const doctor = await run('doctor')
      expect(
        doctor.out
          .trim()
          .split('\n')
          .every((line) => line.startsWith('ok ')),
      ).toBe(true)
      expect(doctor.code).toBe(0)
    })

    it('writes a file, as a whole', async () => {
      const file = join(tmpdir(), `onbehalf-${process.pid}-${kind}.csv`)
      const { code, out } = await run('export', '--format', 'csv', '--out', file, '--json')
      const lines = (await readFile(file, 'utf8')).trimEnd().split('\r\n')
      await rm(file)
      expect(code).toBe(0)
      expect(JSON.parse(out)).toEqual({ events: lines.length - 1, format: 'csv', file })
      expect(lines[0]).toMatch(/^"id","at","action"/)
    })
  })
}
