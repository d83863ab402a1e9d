import { Validator } from '@seriousme/openapi-schema-validator'
import { Hono } from 'hono'
import { expect, it } from 'vitest'
import { impersonate } from '../../adapters/hono.ts'
import { errorTable } from '../../src/errors.ts'
import { routes } from '../../src/http/routes.ts'
import { createImpersonation, memoryStore } from '../../src/index.ts'

const impersonation = createImpersonation({
  store: memoryStore(),
  findUser: (id) => ({ id }),
  can: () => false,
  consent: 'required',
  breakGlass: { verifySecondFactor: () => false },
  approvals: {},
  sandbox: { provision: () => ({ id: 'tester' }) as never, dispose: () => {} },
  impersonationTokens: {
    issuer: 'https://api.example.com',
    audience: 'https://api.example.com',
    secret: 'a secret of at least thirty-two characters',
  },
  apiTokens: { prefix: 'doc_', scopes: ['read'], listUsers: () => ({ users: [] }) },
})
const app = new Hono()
app.use('/api/*', impersonate(impersonation))

const document = async () => {
  const response = await app.request('/api/impersonation/openapi.json')
  // biome-ignore lint/suspicious/noExplicitAny: a document is whatever it is
  return (await response.json()) as any
}

it('is valid OpenAPI 3.1, for a validator that is not ours', async () => {
  const validator = new Validator()
  const result = await validator.validate(await document())
  expect(result.errors).toBeUndefined()
  expect(result.valid).toBe(true)
  expect(validator.version).toBe('3.1')
})

it('describes every route, where it is mounted', async () => {
  const { paths } = await document()
  const described = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations as object).map((method) => `${method.toUpperCase()} ${path}`),
  )
  const expected = routes.map(
    ({ method, path }) =>
      `${method} /api/impersonation${path === '/' ? '' : path.replace(':id', '{id}')}`,
  )
  expect(described.toSorted()).toEqual(expected.toSorted())
})

it('names every operation differently', async () => {
  const { paths } = await document()
  const ids = Object.values(paths).flatMap((operations) =>
    Object.values(operations as Record<string, { operationId: string }>).map(
      ({ operationId }) => operationId,
    ),
  )
  expect(new Set(ids).size).toBe(ids.length)
})

it('tells each refusal under its status, and the body it wants', async () => {
  const { post } = (await document()).paths['/api/impersonation/start']
  expect(post.responses[403].description).toContain('`target_protected`')
  expect(post.responses[429].description).toContain(errorTable.rate_limited[1])
  expect(post.responses[201].content['application/json'].schema.required).toContain('session_id')
  const { schema } = post.requestBody.content['application/json']
  expect(schema.required).toEqual(['target_user_id'])
  expect(schema.additionalProperties).toBe(false)
})

it('tells of an API token, once of the token itself, and never of a hash', async () => {
  const { paths } = await document()
  const schemaOf = (operation: { responses: Record<string, never> }, status: number) =>
    // biome-ignore lint/suspicious/noExplicitAny: a document is whatever it is
    (operation.responses[status] as any).content['application/json'].schema
  const { get, post } = paths['/api/impersonation/tokens']
  const told = ['id', 'prefix', 'user_id', 'name', 'scopes', 'created_at', 'expires_at']
  expect(Object.keys(schemaOf(post, 201).properties).toSorted()).toEqual([...told, 'token'].sort())
  const listed = schemaOf(get, 200).properties.items.items
  expect(Object.keys(listed.properties).toSorted()).toEqual(
    [...told, 'last_used_at', 'revoked_at', 'issued_by'].sort(),
  )
  expect(post.requestBody.content['application/json'].schema).toMatchObject({
    required: ['user_id', 'name', 'scopes'],
    additionalProperties: false,
  })
  const { requestBody } = paths['/api/impersonation/tokens/{id}/rotate'].post
  expect(Object.keys(requestBody.content['application/json'].schema.properties)).toEqual([
    'overlap_minutes',
  ])
})
