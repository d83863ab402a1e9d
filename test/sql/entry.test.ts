import ts from 'typescript'
import { expect, it } from 'vitest'
import { guardDialect, guardPool, guardSql, impersonationPlugin } from '../../src/sql/index.ts'
import { filesIn, read } from '../repo/files.ts'
import { levels } from './levels.ts'

it('loads neither kysely nor pg: only their types are named', () => {
  const packages = filesIn('src/sql').flatMap((file) => {
    const code = ts.transpile(read(file), {
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      removeComments: true,
    })
    return [...code.matchAll(/from ['"]([^.'"][^'"]*)['"]|import\(/g)].map(([, name]) => name)
  })
  expect(new Set(packages)).toEqual(new Set(['lru-cache']))
})

it('takes any engine, and says what it wants instead', async () => {
  const { engine } = await levels()
  expect(guardSql(engine)).toBeTypeOf('function')
  expect(impersonationPlugin(engine)).toHaveProperty('transformQuery')
  for (const wrong of [undefined, null, {}, 'postgres']) {
    expect(() => guardDialect(wrong as never, engine)).toThrow(/must be a dialect of kysely/)
    expect(() => impersonationPlugin(wrong as never)).toThrow('"impersonation" must be')
    expect(() => guardPool({ query: () => {} }, wrong as never)).toThrow('"impersonation" must be')
  }
})
