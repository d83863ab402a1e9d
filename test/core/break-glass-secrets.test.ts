import { describe, expect, it, vi } from 'vitest'
import { type AccessRequest, memoryStore, type Store } from '../../src/index.ts'
import { markOf } from '../../src/lifecycle/one-time-code.ts'
import { confirm, open, scene } from '../support/break-glass-world.ts'
import type { World } from '../support/core-world.ts'

const requests = async ({ store }: World) =>
  (await store.requests?.listRequests({}, { limit: 1000 })) as AccessRequest[]

describe('what was typed', () => {
  it('is in no event, list, error, request or mark', async () => {
    const marks: string[] = []
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const inner = memoryStore()
    const keep = <T extends { mark: string } | null>(code: T) => {
      if (code) marks.push(code.mark)
      return code
    }
    const section = inner.requests as NonNullable<Store['requests']>
    const store: Store = {
      ...inner,
      requests: {
        ...section,
        createRequest: (request, list, code) => section.createRequest(request, list, keep(code)),
        changeRequest: (change, list, code) => section.changeRequest(change, list, keep(code)),
      },
    }
    const world = scene({}, {}, store)
    world.verdict.say = (user, code) => {
      if (code.includes('boom')) throw new Error(`${user.id} ${code}`)
      return code.includes('right')
    }
    const codes = [
      'right-secret-1',
      'wrong secret 2',
      'boom-secret-3',
      'right-secret-4',
      'secret-5',
    ]
    const answers: unknown[] = []
    const tell = async (promise: Promise<unknown>) => {
      answers.push(
        await promise.catch((error) => [error.message, error.stack, String(error.cause), error]),
      )
    }
    const request = await open(world, { totp: codes[0] as string })
    answers.push(request)
    await tell(open(world, { totp: codes[0] as string }))
    await tell(open(world, { totp: codes[1] as string }))
    await tell(open(world, { totp: codes[2] as string }))
    await tell(confirm(world, request, 'boss', codes[4]))
    await tell(confirm(world, request, 'boss', codes[4]))
    await tell(confirm(world, request, 'boss', codes[2]))
    await tell(confirm(world, request, 'boss', codes[3]))
    await new Promise((done) => setImmediate(done))
    answers.push(await world.store.listEvents({}, { limit: 1000 }))
    answers.push(await requests(world), await world.store.listSessions({}, { limit: 100 }))
    answers.push(await world.engine.breakGlass.list(world.caller('root'), { limit: 9 }))
    expect(warned).toHaveBeenCalledTimes(1)
    answers.push(warned.mock.calls)
    const everything = JSON.stringify(answers)
    for (const code of codes) {
      expect(everything).not.toContain(code)
      expect(everything).not.toContain(code.replace(/[ -]/g, ''))
      for (const mark of marks) expect(mark).not.toContain(code)
    }
    expect(marks).toHaveLength(8)
    for (const mark of marks) {
      expect(everything).not.toContain(mark)
      expect(mark).toMatch(/^[\w-]{43}$/)
    }
  })

  it('is marked by person, and not by how it is written', async () => {
    const mark = await markOf('root', '123456')
    expect(await markOf('root', '123456')).toBe(mark)
    expect(await markOf('boss', '123456')).not.toBe(mark)
    expect(await markOf('root', '123457')).not.toBe(mark)
    expect(await markOf('root', 'ab-ｃ')).toBe(await markOf('root', 'AB-c'))
  })
})
