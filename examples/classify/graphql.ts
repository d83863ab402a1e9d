import { createImpersonation, memoryStore } from 'onbehalf'
import { graphqlClassifier } from 'onbehalf/graphql'
import { findUser } from '../app/users.ts'
import { jsonRpcClassifier } from './json-rpc.ts'

/*
 * GraphQL beside JSON-RPC and ordinary routes: each classifier leaves to the next what it does not
 * know, and what none of them knows is told by its method and its path.
 */

const graphql = graphqlClassifier({
  path: '/graphql',
  // Kinds that are not listed keep the words of the shipped catalogue: `changePassword`, `createApiKey` …
  guardrails: { payment: ['buySeats', 'Query.exportCards'], email: [] },
})

const rpc = jsonRpcClassifier({
  reads: ['notes.list', 'notes.get'],
  guarded: { 'billing.pay': 'payment' },
})

export const impersonation = createImpersonation({
  store: memoryStore(),
  findUser,
  can: (user) => user.role === 'superuser',
  classify: (request) => graphql(request) ?? rpc(request),
})
