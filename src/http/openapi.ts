import * as z from 'zod'
import { type ErrorCode, errorTable } from '../errors.ts'
import type { Route } from './route.ts'
import { problem, shapes } from './schemas.ts'

/** What any route may answer, beside its own codes. */
const everywhere = [
  'invalid_request',
  'cross_origin_blocked',
] as const satisfies readonly ErrorCode[]
const withLogin = [
  'unauthenticated',
  'impersonation_unavailable',
] as const satisfies readonly ErrorCode[]
const withBody = [
  'payload_too_large',
  'unsupported_media_type',
] as const satisfies readonly ErrorCode[]

/** The OpenAPI 3.1 document of the routes, made from the table and the schemas that check the calls. */
export function openApi(routes: readonly Route[], base: string) {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const path = `${base}${route.path === '/' ? '' : route.path}`.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'onbehalf', version: '1', description: 'User impersonation, as mounted here.' },
    paths,
    components: {
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: 'The login of the host, whatever it is.',
        },
      },
      schemas: { Problem: jsonSchema(problem) },
    },
  }
}

function operation(route: Route) {
  const { method, path, summary, who } = route
  const codes: ErrorCode[] = [
    ...everywhere,
    ...(who === 'login' ? withLogin : []),
    ...(method === 'POST' ? withBody : []),
    ...route.codes,
  ]
  return {
    operationId: `${method.toLowerCase()}${path.replace(/[/:]+(\w?)/g, (_, next: string) => next.toUpperCase())}`,
    summary,
    security: who === 'login' ? [{ bearer: [] }] : [],
    parameters: parameters(route),
    ...(route.body && {
      requestBody: {
        required: !shapes[route.body].safeParse(undefined).success,
        content: { 'application/json': { schema: jsonSchema(shapes[route.body]) } },
      },
    }),
    responses: { [route.status]: success(route), ...refusals(codes) },
  }
}

function parameters({ path, query }: Route) {
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
  const shape = query ? (jsonSchema(shapes[query]).properties ?? {}) : {}
  const inQuery = Object.entries(shape).map(([name, schema]) => ({
    name,
    in: 'query',
    required: false,
    schema,
  }))
  return [...inPath, ...inQuery]
}

function success({ answer }: Route) {
  const schema = answer ? jsonSchema(shapes[answer], 'output') : { type: 'object' }
  return { description: 'Done', content: { 'application/json': { schema } } }
}

function refusals(codes: readonly ErrorCode[]) {
  const byStatus = Map.groupBy(new Set(codes), (code) => errorTable[code][0])
  return Object.fromEntries(
    [...byStatus].map(([status, some]) => [
      status,
      {
        description: some.map((code) => `\`${code}\`: ${errorTable[code][1]}`).join('\n'),
        content: {
          'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
        },
      },
    ]),
  )
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output' = 'input') {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io })
  return rest
}
