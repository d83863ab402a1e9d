import { posix } from 'node:path'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { filesIn, read } from './files.ts'

const sources = [...filesIn('src'), ...filesIn('adapters')].filter((file) => file.endsWith('.ts'))

/** What a file imports, types and dynamic imports included: paths of the repository, or package names. */
const imports = new Map(
  sources.map((file) => [
    file,
    ts
      .preProcessFile(read(file))
      .importedFiles.map(({ fileName }) => fileName)
      .map((name) => (name.startsWith('.') ? posix.join(posix.dirname(file), name) : name)),
  ]),
)

/** The imports that happen as a file is loaded: neither of types nor dynamic. */
const staticImports = new Map(
  sources.map((file) => {
    const code = ts.transpile(read(file), {
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    })
    const names = code.matchAll(
      /^(?:import\s*|(?:import|export)\b[^;'"]*\bfrom\s*)['"](\.[^'"]+)['"]/gm,
    )
    return [file, [...names].map(([, name = '']) => posix.join(posix.dirname(file), name))]
  }),
)

/** Every import from one place to another, as lines to read. */
function edges(from: RegExp, to: RegExp): string[] {
  return [...imports].flatMap(([file, targets]) =>
    from.test(file)
      ? targets.filter((target) => to.test(target)).map((target) => `${file} imports ${target}`)
      : [],
  )
}

describe('imports point one way', () => {
  it('reads the imports at all', () => {
    expect(edges(/^adapters\//, /^src\//)).not.toEqual([])
    expect(edges(/^src\//, /^node:async_hooks$/)).not.toEqual([])
    expect(staticImports.get('src/index.ts')).toContain('src/errors.ts')
  })

  it.each([
    ['src knows no adapter', /^src\//, /^adapters\//],
    ['an adapter knows no other', /^adapters\//, /^adapters\/(express|fastify|hono)\.ts$/],
    ['adapters reach no store', /^adapters\//, /^src\/stores\//],
    ['lifecycle and pipeline know no HTTP routes', /^src\/(lifecycle|pipeline)\//, /^src\/http\//],
    [
      'stores and audit know nothing above them',
      /^src\/(stores|audit)\//,
      /^src\/(http|lifecycle|pipeline|testing|jwt)\/|^src\/(index|impersonation)\.ts$/,
    ],
    ['stores know no audit but its events', /^src\/stores\//, /^src\/audit\/(?!events\.ts)/],
    [
      'notify knows no routes and no pipeline',
      /^src\/notify\//,
      /^src\/(http|pipeline|telemetry|jwt|sql|graphql|testing)\//,
    ],
    [
      'nobody below knows notify',
      /^src\/(lifecycle|pipeline|stores|audit|http)\//,
      /^src\/notify\//,
    ],
    ['nobody imports the command line', /^(?!src\/cli\/)/, /^src\/cli\//],
    ['one-time codes are the affair of one entry', /^(?!src\/totp\/)/, /^otpauth/],
    ['OpenTelemetry is the affair of one entry', /^(?!src\/opentelemetry\/)/, /^@opentelemetry/],
    [
      'the nouns and the codes know nobody else',
      /^src\/(types|errors)\.ts$/,
      /^src\/(?!types|errors)/,
    ],
    [
      'jwt stands beside the engine',
      /^src\/jwt\//,
      /^src\/(http|lifecycle|pipeline|stores|audit)\//,
    ],
    [
      'graphql knows what a classifier is asked, paths and words, and no more of the engine',
      /^src\/graphql\//,
      /^src\/(?!graphql\/|types\.ts|pipeline\/(classify|patterns|catalogue)\.ts)/,
    ],
    [
      'the package graphql is loaded by its own entry only',
      /^(?!src\/graphql\/)/,
      /^graphql(\/|$)/,
    ],
    ['nobody needs graphql to serve requests', /^(?!src\/graphql\/)/, /^src\/graphql\//],
    [
      'sql stands on the pipeline, types and codes alone',
      /^src\/sql\//,
      /^src\/(?!(sql|pipeline)\/|(types|errors|warnings)\.ts$)|^adapters\//,
    ],
    [
      'nobody imports sql: it is an entry of its own',
      /^(src\/(?!sql\/)|adapters\/)/,
      /^src\/sql\//,
    ],
    [
      'the client stands alone, on words and codes: it runs in browsers',
      /^src\/client\//,
      /^(?!src\/(client\/|(types|errors)\.ts$))/,
    ],
    ['nobody imports the client', /^(?!src\/client\/)/, /^src\/client\//],
    ['nobody imports the table of contents', /./, /^src\/index\.ts$/],
    ['nobody imports the test suites', /^(?!src\/testing\/)/, /^src\/testing\//],
  ])('%s', (_rule, from, to) => {
    expect(edges(from, to)).toEqual([])
  })

  it('only an adapter names a framework: its own', () => {
    const named = edges(/./, /^@?(express|fastify|hono)(-plugin)?(\/|$)/)
    expect(named).not.toEqual([])
    expect(
      named.filter((edge) => !/^adapters\/(express|fastify|hono)\.ts imports @?\1\b/.test(edge)),
    ).toEqual([])
  })

  it('loads nothing but itself into a browser', () => {
    const loaded = [...staticImports].flatMap(([file, targets]) =>
      file.startsWith('src/client/') ? targets : [],
    )
    expect(loaded).not.toEqual([])
    expect(loaded.filter((target) => !target.startsWith('src/client/'))).toEqual([])
  })

  it('goes round in no circle while loading', () => {
    expect(circles()).toEqual([])
  })
})

it('imports files by their full names, and only such that are there', () => {
  const missing = [...imports].flatMap(([file, targets]) =>
    targets
      .filter((target) => /^(src|adapters|\.)/.test(target) && !imports.has(target))
      .map((target) => `${file} imports ${target}`),
  )
  expect(missing).toEqual([])
})

/** Circles of imports that happen while loading. */
function circles(): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const walk = (file: string, path: readonly string[]) => {
    const at = path.indexOf(file)
    if (at >= 0) found.push([...path.slice(at), file].join(' > '))
    if (at >= 0 || done.has(file)) return
    for (const target of staticImports.get(file) ?? []) walk(target, [...path, file])
    done.add(file)
  }
  for (const file of staticImports.keys()) walk(file, [])
  return found
}
