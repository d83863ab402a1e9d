import { expect, it } from 'vitest'
import { runExample } from './processes.ts'

it('the whole story of consent, break-glass and a test session, with its mails, is as it is told', async () => {
  const { code, printed } = await runExample('consent/walk.ts')
  expect(printed).toContain('Every answer and every mail was as it should be.')
  expect(code).toBe(0)
  const mails = [...printed.matchAll(/mail to (\w+)@/g)].map(([, to]) => to)
  expect(mails).toEqual([
    ...['alice', 'sam', 'alice', 'sam', 'alice', 'alice', 'sam', 'alice', 'alice'],
    ...['bob', 'bob'],
  ])
  // No test user, no code and no secret in what anybody sees.
  expect(printed).not.toMatch(/tester-|JBSWY3DP|KRSXG5CT|\b\d{6}\b/)
})
