import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { check, type Step, story } from '../../examples/express/story.ts'
import { type Example, startExample } from './processes.ts'

const frameworks = ['express', 'fastify', 'hono'] as const

/** What goes beyond the story: answers of the application itself, and the corners of the routes. */
const corners: readonly Omit<Step, 'why'>[] = [
  ask('ADMIN', 'POST /notes', 201, { body: { text: 'As myself' }, answer: { written_by: 'root' } }),
  ask('ADMIN', 'POST /notes', 400, { body: {}, answer: { title: '"text" is missing' } }),
  ask('ADMIN', 'POST /account/password', 200, { body: {}, answer: { changed: 'root' } }),
  ask('ADMIN', 'GET /nothing/here', 404),
  ask('ADMIN', 'POST /impersonation/stop', 404, { answer: { code: 'not_impersonating' } }),
  ask('ADMIN', 'GET /impersonation/nothing', 404, { answer: { code: 'route_not_found' } }),
  ask('ADMIN', 'GET /impersonation/stop', 405, { answer: { code: 'method_not_allowed' } }),
  ask('ADMIN', 'POST /impersonation/start', 400, { body: { target_user_id: 'alice' } }),
  ask('ADMIN', 'POST /impersonation/start', 404, { body: { target_user_id: 'zoe', reason: 'x' } }),
  ask('ADMIN', 'POST /impersonation/start', 409, {
    body: { target_user_id: 'dave', reason: 'left the company' },
    answer: { code: 'target_inactive' },
  }),
  ask('ADMIN', 'POST /impersonation/start', 201, {
    body: { target_user_id: 'bob', reason: 'x', target_org_id: 'globex', access_level: 'full' },
    answer: { target_user: { id: 'bob', org_id: 'globex', role: 'member' } },
  }),
  ask('ADMIN', 'GET /notes', 200, { answer: { items: [{ id: 3 }] }, impersonating: 'bob' }),
  ask('ADMIN', 'GET /nothing/here', 404, { impersonating: 'bob' }),
  ask('ADMIN', 'POST /notes', 400, { body: { text: '' }, impersonating: 'bob' }),
  ask('ADMIN', 'POST /account//%70assword', 403, { body: {}, impersonating: 'bob' }),
  ask('ADMIN', 'POST /impersonation/extend', 200, { body: { minutes: 5 } }),
  ask('ADMIN', 'POST /impersonation/stop', 200, { body: {}, answer: { status: 'stopped' } }),
]

function ask(as: Step['as'], request: Step['request'], status: number, rest: Partial<Step> = {}) {
  return { as, request, status, answer: {}, ...rest }
}

const examples = new Map<string, Example>()

beforeAll(async () => {
  for (const name of frameworks) examples.set(name, await startExample(`${name}/server.ts`))
})
afterAll(async () => {
  for (const [name, example] of examples) expect(await example.end(), name).toBe(0)
})

describe('the same application on three frameworks', () => {
  const transcripts = new Map<string, unknown[]>()

  it.each(frameworks)('%s tells the story, and the corners', async (name) => {
    transcripts.set(name, await play(examples.get(name)?.url ?? ''))
  })

  it('gives the same answers, to the byte of each body', () => {
    const [first, ...others] = frameworks.map((name) => transcripts.get(name))
    expect(first).toHaveLength(story.length + corners.length + 2)
    for (const other of others) expect(other).toEqual(first)
  })
})

async function play(url: string): Promise<unknown[]> {
  const token = async (email: string) => {
    const body = JSON.stringify({ email })
    const headers = { 'Content-Type': 'application/json' }
    const response = await fetch(`${url}/login`, { method: 'POST', headers, body })
    return `Bearer ${(await response.json()).token}`
  }
  const tokens = {
    ADMIN: await token('root@staff.example'),
    ALICE: await token('alice@acme.example'),
  }
  const seen = names()
  const transcript: unknown[] = []
  for (const step of [...story, ...corners]) {
    const [method = '', path] = step.request.split(' ')
    const response = await fetch(`${url}${path}`, {
      method,
      body: step.body ? JSON.stringify(step.body) : null,
      headers: {
        Authorization: tokens[step.as],
        ...(step.body && { 'Content-Type': 'application/json' }),
      },
    })
    const text = await response.text()
    // Each framework has a page of its own for a route that nobody has.
    const body = path === '/nothing/here' ? '{}' : text
    check({ why: '', ...step }, response.status, response.headers, JSON.parse(body))
    transcript.push(seen([step.request, ...told(response), body]))
  }
  for (const path of ['/whoami', '/impersonation/status']) {
    const response = await fetch(url + path, { headers: { 'Sec-Fetch-Site': 'same-origin' } })
    expect(response.status, path).toBe(401)
    transcript.push([path, ...told(response), await response.text()])
  }
  return transcript
}

/** Status and headers, without those that are the framework's affair. */
function told({ status, headers }: Response): unknown[] {
  const ours = [...headers].filter(([name]) =>
    /^(x-imp|cache-|vary|clear-|set-cookie|www-)/.test(name),
  )
  return [status, ...ours]
}

/** What differs from run to run, by the order in which it was first seen. */
function names() {
  const found: string[] = []
  return (lines: unknown[]) =>
    JSON.parse(
      JSON.stringify(lines)
        .replace(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g, (id) => {
          if (!found.includes(id)) found.push(id)
          return `session ${found.indexOf(id)}`
        })
        .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'an instant'),
    )
}
