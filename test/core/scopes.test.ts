import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { scopedRoute } from '../../src/adapter.ts'
import {
  type ApiTokenContext,
  createImpersonation,
  type ImpersonationError,
  memoryStore,
} from '../../src/index.ts'
import { checkScopes, lacking, tokenContext } from '../../src/pipeline/scopes.ts'

interface User {
  readonly id: string
}

const tokenWith = (scopes: readonly string[], allowed = ['read', 'upload']) =>
  tokenContext<User>(
    { owner: { id: 'alice' }, id: 'x', name: 'n', scopes, issuedBy: 'root', expiresAt: 1 },
    new Set(allowed),
  )

const refusalOf = (code: () => unknown) => {
  try {
    code()
  } catch (error) {
    return error as ImpersonationError
  }
  throw new Error('nothing was refused')
}

let warned: unknown[]
beforeEach(() => {
  warned = []
  vi.spyOn(process, 'emitWarning').mockImplementation((text) => void warned.push(text))
})
afterEach(() => {
  vi.restoreAllMocks()
})

/** First of all: what is told of once is told of once per process. */
describe('a scope', () => {
  it('that the options do not name is told of once, and one that a token lacks is not', () => {
    lacking(tokenWith(['read']), ['upload'])
    lacking({ ...tokenWith(['read']) } as ApiTokenContext<User>, ['upload'])
    expect(warned).toEqual([])
    for (let n = 0; n < 3; n++)
      expect(lacking(tokenWith(['read']), ['read', 'uplaod'])?.code).toBe('insufficient_scope')
    expect(warned).toHaveLength(1)
    expect(warned[0]).toContain('"uplaod"')
  })
})

describe('the scopes of a token', () => {
  it('are those that the options still name', () => {
    const { scopes } = tokenWith(['read', 'upload', 'gone'])
    expect(scopes).toEqual(['read', 'upload'])
    expect(lacking(tokenWith(['gone']), ['gone'])?.code).toBe('insufficient_scope')
  })

  it('are wanted all, and are no patterns of one another', () => {
    const both = tokenWith(['read', 'upload'])
    for (const wanted of [['read'], ['upload'], ['read', 'upload'], ['upload', 'read']])
      expect(lacking(both, wanted)).toBe(null)
    for (const wanted of [['read', 'upload'], ['upload'], ['Read'], ['rea'], ['read:all']])
      expect(lacking(tokenWith(['read']), wanted)?.code).toBe('insufficient_scope')
    expect(lacking(null, ['read'])).toBe(null)
  })

  it('that are lacking are told as RFC 6750 has it', () => {
    const refusal = lacking(tokenWith([]), ['read', 'upload'])
    expect([refusal?.status, refusal?.details]).toEqual([403, { scope: 'read upload' }])
    expect(refusal?.getResponse().headers.get('www-authenticate')).toBe(
      'Bearer realm="impersonation", error="insufficient_scope", scope="read upload"',
    )
  })
})

describe('requireScope of the engine', () => {
  const engine = createImpersonation<User, 'read' | 'upload'>({
    store: memoryStore(),
    findUser: (id) => ({ id }),
    can: () => false,
    apiTokens: { prefix: 'pv_live_', scopes: ['read', 'upload'] },
  })

  it('stops a token without the scope, and nobody else', () => {
    const reads = tokenWith(['read'])
    engine.run(reads, () => {
      engine.requireScope('read')
      for (const wanted of [['upload'], ['read', 'upload']] as const)
        expect(refusalOf(() => engine.requireScope(...wanted)).code).toBe('insufficient_scope')
    })
    engine.run(null, () => engine.requireScope('upload'))
    const impersonation = { actor: root, target: alice, session: {}, signal: {} } as never
    engine.run(impersonation, () => engine.requireScope('upload'))
  })

  it('throws outside a request: it would be a guess', () => {
    expect(() => engine.requireScope('read')).toThrow(/not known here/)
  })

  it.each([[], ['uplaod'], ['*'], [''], ['read upload'], [undefined], [null], [['read']]])(
    '%j is no scope, whoever asks',
    (...scopes) => {
      for (const context of [null, tokenWith(['read'])])
        engine.run(context, () => {
          expect(() => engine.requireScope(...(scopes as never[]))).toThrow(TypeError)
        })
    },
  )

  it('without the option no scope is one', () => {
    const off = createImpersonation<User>({
      store: memoryStore(),
      findUser: (id) => ({ id }),
      can: () => false,
    })
    expect(() => off.run(null, () => off.requireScope('read'))).toThrow(
      'the option "apiTokens.scopes" does not name "read"',
    )
  })
})

const root = { id: 'root' }
const alice = { id: 'alice' }

describe('a route that wants scopes', () => {
  it('is closed to nobody, and to what no adapter has seen', () => {
    expect(scopedRoute('nobody', ['read'])?.code).toBe('unauthenticated')
    expect(scopedRoute('login', ['read'])).toBe(null)
    expect(scopedRoute(tokenWith(['read']), ['read'])).toBe(null)
    expect(scopedRoute(tokenWith(['upload']), ['read'])?.code).toBe('insufficient_scope')
    expect(refusalOf(() => scopedRoute(undefined, ['read']))).toMatchObject({
      code: 'ONBEHALF_NOT_MOUNTED',
      status: 500,
    })
  })

  it.each([
    [],
    ['*'],
    ['a b'],
    [''],
    ['a"b'],
    ['a\\b'],
    ['ä'],
    [7],
    ['x'.repeat(101)],
    [undefined],
  ])('%j is refused when it is made', (...scopes) => {
    expect(() => checkScopes('requireScope', scopes)).toThrow(TypeError)
  })
})
