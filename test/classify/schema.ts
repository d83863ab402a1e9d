import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import type { GraphQLFieldConfig, GraphQLSchema } from 'graphql'

// The copy that graphql-http finds: there are two in the package, and a schema belongs to one.
const graphql: typeof import('graphql') = createRequire(import.meta.url)('graphql')
const { GraphQLObjectType, GraphQLString, execute, parse } = graphql

/** What was written, and as whom: nobody's resolver may add to it that should not run. */
export type Ran = string[]

/** A schema whose mutations count themselves. */
export function countingSchema(ran: Ran, who: () => string = () => '?'): GraphQLSchema {
  const args = { x: { type: GraphQLString } }
  const text = (resolve: () => string): GraphQLFieldConfig<unknown, unknown> => ({
    type: GraphQLString,
    args,
    resolve,
  })
  const write = (name: string) =>
    text(() => {
      ran.push(`${name} by ${who()}`)
      return 'done'
    })
  const Query: InstanceType<typeof GraphQLObjectType> = new GraphQLObjectType({
    name: 'Query',
    fields: () => ({
      a: text(() => 'read'),
      b: text(who),
      changePassword: text(() => 'only its name'),
      // Not for ever: unvalidated, a fragment may hold itself.
      more: {
        type: Query,
        args,
        resolve(source: unknown) {
          const { depth = 0 } = (source ?? {}) as { depth?: number }
          return depth < 4 ? { depth: depth + 1 } : null
        },
      },
    }),
  })
  const Account = new GraphQLObjectType({
    name: 'Account',
    fields: { changePassword: write('changePassword'), name: { type: GraphQLString } },
  })
  const Mutation = new GraphQLObjectType({
    name: 'Mutation',
    fields: {
      rename: write('rename'),
      changePassword: write('changePassword'),
      buySeats: write('buySeats'),
      user: { type: Account, args, resolve: () => ({}) },
    },
  })
  return new graphql.GraphQLSchema({ query: Query, mutation: Mutation })
}

type Values = Record<string, unknown>

/** What is persisted in the greedy server. */
export const persistedDocuments: Record<string, string> = {
  r: '{ a }',
  w: 'mutation { rename }',
  g: 'mutation { changePassword }',
}

/**
 * A server that takes whatever some server takes: documents by GET and by POST, from the query string
 * and from the body, batches, forms, ids; mutations by GET; first by the query string's word, then by
 * the body's. Whatever it finds it runs, unvalidated.
 */
export async function greedy(
  schema: GraphQLSchema,
  url: string,
  type: string,
  body: unknown,
): Promise<unknown> {
  const fromUrl = Object.fromEntries(new URLSearchParams(url.split('?').slice(1).join('?')))
  const found = valuesOf(type, body) as Values | Values[]
  const results = []
  for (const one of Array.isArray(found) ? found : [found])
    for (const values of [
      { ...one, ...fromUrl },
      { ...fromUrl, ...one },
    ])
      results.push(await run(schema, values))
  const [first, second] = results
  return Array.isArray(found) ? results.filter((_, index) => index % 2 === 1) : (second ?? first)
}

function valuesOf(type: string, body: unknown): unknown {
  if (typeof body !== 'string') return body ?? {}
  if (type.startsWith('application/graphql') && !type.includes('json')) return { query: body }
  if (type.startsWith('application/x-www-form-urlencoded'))
    return Object.fromEntries(new URLSearchParams(body))
  return body === '' ? {} : JSON.parse(body)
}

async function run(schema: GraphQLSchema, values: Values): Promise<unknown> {
  const extensions = (
    typeof values.extensions === 'string' ? JSON.parse(values.extensions) : values.extensions
  ) as { persistedQuery?: { sha256Hash: string } } | undefined
  const { sha256Hash } = extensions?.persistedQuery ?? {}
  const id = values.id ?? values.documentId ?? (values.persisted ? values.query : sha256Hash)
  const text = values.persisted || !values.query ? persistedDocuments[String(id)] : values.query
  if (typeof text !== 'string') return { errors: ['no document'] }
  if (sha256Hash !== undefined && values.query && sha256Hash !== sha256(text))
    return { errors: ['hash'] }
  const document = parse(text)
  const operationName = (values.operationName as string) || undefined
  return execute({ schema, document, ...(operationName && { operationName }) })
}

export const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
