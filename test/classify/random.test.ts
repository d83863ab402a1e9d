import { createRequire } from 'node:module'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { graphqlClassifier } from '../../src/graphql/index.ts'
import { asker } from './ask.ts'
import { documents, operationNames } from './documents.ts'
import { countingSchema, greedy, type Ran } from './schema.ts'

const { execute, parse }: typeof import('graphql') = createRequire(import.meta.url)('graphql')

const ask = asker(graphqlClassifier({ guardrails: { payment: ['buySeats'] } }))
const form = 'application/x-www-form-urlencoded'
const json = 'application/json'
const ran: Ran = []
const schema = countingSchema(ran)
const isGuarded = (line: string) => /^(changePassword|buySeats)/.test(line)
const tally = { read: 0, write: 0, refused: 0, wrote: 0 }

/** Nothing ran that the verdict does not allow. */
function allowed(said: string): void {
  const lines = ran.splice(0)
  tally[said === 'read' || said === 'write' ? said : 'refused']++
  if (lines.length > 0) tally.wrote++
  if (said === 'read') expect(lines).toEqual([])
  else if (said === 'write') expect(lines.filter(isGuarded)).toEqual([])
}

const settings = { seed: 4711, numRuns: 4_000 }

it('what is said to read runs no mutation, and what is said to write no guarded one', async () => {
  await fc.assert(
    fc.asyncProperty(documents, operationNames, async (query, operationName) => {
      const said = await ask({ json: { query, operationName } })
      try {
        const document = parse(query)
        await execute({ schema, document, ...(operationName && { operationName }) })
      } catch {
        // It does not parse, or has no such operation.
      }
      allowed(said)
    }),
    settings,
  )
  for (const count of Object.values(tally)) expect(count).toBeGreaterThan(settings.numRuns / 40)
})

it('nor does a server that takes whatever some server takes, from two places at once', async () => {
  const place = fc.record({
    query: fc.option(documents, { nil: undefined, freq: 8 }),
    operationName: operationNames,
  })
  Object.assign(tally, { read: 0, write: 0, refused: 0, wrote: 0 })
  await fc.assert(
    fc.asyncProperty(
      fc.option(place, { nil: {}, freq: 1 }),
      fc.oneof(
        fc.tuple(fc.constant(json), place),
        fc.tuple(fc.constant(json), fc.array(place, { maxLength: 3 })),
        fc.tuple(fc.constant(form), place),
        fc.tuple(fc.constant('application/graphql'), documents),
        fc.constant(['', ''] as const),
      ),
      fc.constantFrom('GET', 'POST'),
      async (url, [type, content], method) => {
        const target = `/graphql?${pairs(url)}`
        const body =
          typeof content === 'string'
            ? content
            : type === form
              ? pairs(content)
              : JSON.stringify(content)
        const headers: Record<string, string> = type ? { 'content-type': type } : {}
        const said = await ask({ method, target, body, headers })
        await greedy(schema, target, type, body).catch(() => {})
        // A page holds no document, so whatever it is told by, nothing may run.
        allowed(said === 'untold' ? 'read' : said)
      },
    ),
    settings,
  )
  for (const count of Object.values(tally)) expect(count).toBeGreaterThan(settings.numRuns / 40)
})

function pairs(values: object): string {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined)
  return String(new URLSearchParams(entries as [string, string][]))
}
