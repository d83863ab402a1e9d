import { join } from 'node:path'
import { expect, it } from 'vitest'
import { run, write } from './npm.ts'
import { packed } from './packed.ts'

/** Loaded before anything else: writes down the package of every module that is asked for. */
const hook = `
import { registerHooks } from 'node:module'
const loaded = new Set()
registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context)
    const [, name] = /.*\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(resolved.url) ?? []
    if (name) loaded.add(name)
    return resolved
  },
})
globalThis.loadedPackages = () => [...loaded].sort()`

/** The packages loaded at each call of `report()`. */
async function loaded(code: string): Promise<string[][]> {
  const { project } = packed()
  const script = `const reports = []
const report = () => reports.push(loadedPackages())
${code}
console.log(JSON.stringify(reports))`
  const name = `lazy-${Math.random().toString(36).slice(2)}.mjs`
  await write(project, { 'hook.mjs': hook, [name]: script })
  const output = await run(process.execPath, ['--import', './hook.mjs', join(project, name)], {
    cwd: project,
  })
  return JSON.parse(output.trim().split('\n').at(-1) ?? '')
}

it.each([
  ['express', []],
  ['fastify', ['fastify-plugin']],
  ['hono', []],
])('onbehalf and onbehalf/%s load no more than they need', async (framework, own) => {
  const [before, after] = await loaded(`
    await import('${framework}')
    report()
    await import('onbehalf')
    await import('onbehalf/${framework}')
    report()`)
  const added = after?.filter((name) => !before?.includes(name))
  expect(added).toEqual(
    [...own, 'lru-cache', 'onbehalf'].filter((name) => !before?.includes(name)).sort(),
  )
})

it('no request but one to a route with a body loads zod, and none jose or kysely', async () => {
  const reports = await loaded(`
    import { Hono } from 'hono'
    import { createImpersonation, memoryStore } from 'onbehalf'
    import { impersonate } from 'onbehalf/hono'

    const users = {
      root: { id: 'root', isSuperuser: true, active: true },
      alice: { id: 'alice', isSuperuser: false, active: true },
    }
    const impersonation = createImpersonation({
      store: memoryStore(),
      findUser: (id) => users[id] ?? null,
      can: (user) => user.isSuperuser,
    })
    const app = new Hono()
    app.use(async (c, next) => {
      c.set('user', users[c.req.header('X-Test-User')])
      await next()
    })
    app.use(impersonate(impersonation))
    app.get('/', (c) => c.text(c.get('user')?.id ?? 'nobody'))

    const ask = async (user, path, init) => {
      const headers = { 'X-Test-User': user, Authorization: 'Bearer x', ...init?.headers }
      const answer = await app.request(path, { ...init, headers })
      return answer.status + ' ' + (await answer.text())
    }
    const expectAnswer = (answer, wanted) => {
      if (!answer.startsWith(wanted)) throw new Error(answer)
    }
    expectAnswer(await ask('alice', '/'), '200 alice')
    expectAnswer(await ask('root', '/'), '200 root')
    expectAnswer(await ask('root', '/impersonation/status'), '200')
    report()
    expectAnswer(
      await ask('root', '/impersonation/start', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ target_user_id: 'alice', reason: 'a ticket' }),
      }),
      '201',
    )
    expectAnswer(await ask('root', '/'), '200 alice')
    report()`)
  expect(reports).toEqual([
    ['hono', 'lru-cache', 'onbehalf'],
    ['hono', 'lru-cache', 'onbehalf', 'zod'],
  ])
})
