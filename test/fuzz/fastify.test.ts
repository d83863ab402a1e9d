import { fastifyVariant } from './fastify.ts'
import { fuzz } from './run.ts'

// The types of Fastify 5.12 don't know `useSemicolonDelimiter` here; its router does.
const semicolons: object = { useSemicolonDelimiter: true }
const lenient = { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, caseSensitive: false }

fuzz([
  fastifyVariant({ name: 'as it comes' }),
  fastifyVariant({ name: 'lenient', server: { routerOptions: lenient } }),
  fastifyVariant({
    name: 'lenient, cut at semicolons',
    server: { routerOptions: { ...lenient, ...semicolons } },
  }),
  fastifyVariant({
    name: 'long parameters, cut at semicolons',
    server: { routerOptions: { maxParamLength: 5000, ...semicolons } },
  }),
  fastifyVariant({ name: 'with a prefix', prefix: '/api' }),
  fastifyVariant({
    name: 'with our plugin below a prefix, lenient',
    prefix: '/:tenant',
    inside: true,
    server: { routerOptions: lenient },
  }),
  fastifyVariant({ name: 'with routes for one host', constrained: true }),
  fastifyVariant({
    name: 'with rewriteUrl',
    rewritten: '/v1',
    server: { rewriteUrl: ({ url = '/' }) => url.replace(/^\/v1(?=\/)/, '') },
  }),
])
