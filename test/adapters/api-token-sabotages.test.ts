import express from 'express'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { adapterTests, type Mount } from '../../src/testing/index.ts'
import { sabotages } from './api-token-sabotages.ts'
import { mountExpress } from './mount-express.ts'
import { mountHono } from './mount-hono.ts'

/** Adapters with one fault each: the suite is worth what it catches. */

beforeEach(() => {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  vi.spyOn(console, 'error').mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
})

const inHono = mountHono((app) => ({
  url: 'http://localhost',
  fetch: (request) => app.request(request),
  close: () => undefined,
}))

interface Collected {
  readonly name: string
  readonly run: () => Promise<void>
}

/** The rules of API tokens and scopes. */
function collect(mount: Mount, sockets: boolean): readonly Collected[] {
  const collected: Collected[] = []
  let group = ''
  adapterTests(
    {
      describe(name, define) {
        group = name
        define()
      },
      it(name, run) {
        if (group === 'API tokens' || group === 'scopes') collected.push({ name, run })
      },
    },
    mount,
    { sockets, requests: 100 },
  )
  return collected
}

async function failures(mount: Mount, sockets: boolean): Promise<readonly string[]> {
  const failed: string[] = []
  for (const { name, run } of collect(mount, sockets)) await run().catch(() => failed.push(name))
  return failed
}

describe('adapterTests of API tokens', () => {
  it('pass an adapter that keeps the rules', async () => {
    expect(await failures(inHono, false)).toEqual([])
  })

  it.each(Object.entries(sabotages))(
    'catch one that %s',
    async (_, { sabotage, rules, sockets }) => {
      const failed = await failures(
        sabotage(sockets ? mountExpress(express) : inHono),
        sockets === true,
      )
      for (const rule of rules) expect(failed.join('\n')).toMatch(new RegExp(rule, 'm'))
    },
  )

  it('have no rule that no fault is caught by', () => {
    const caught = Object.values(sabotages).flatMap(({ rules }) => rules)
    const rules = collect(inHono, true).map(({ name }) => name)
    expect(rules.length).toBeGreaterThan(20)
    expect(rules.filter((name) => !caught.some((rule) => rule.test(name)))).toEqual([])
  })
})
