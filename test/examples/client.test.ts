import { expect, it } from 'vitest'
import { runExample } from './processes.ts'

it('the story of a script that acts as a customer is as it is told', async () => {
  const { code, printed } = await runExample('client/walk.ts')
  expect(printed).toContain('Every answer was as it should be.')
  expect(code).toBe(0)
  expect(printed.match(/(?:GET|POST) .*/g)).toEqual([
    'GET /invoices → Invoice 7 of Alice',
    'POST /notes → 403 grant_view_only: This impersonation may look but not change anything.',
    'GET /invoices as root → []',
    'GET /invoices → impersonation_ended',
  ])
  // No token in what anybody sees.
  expect(printed).not.toContain('eyJ')
})
