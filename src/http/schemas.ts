import * as z from 'zod'
import { ImpersonationError } from '../errors.ts'
import * as audit from './schemas/audit.ts'
import * as grants from './schemas/grants.ts'
import { none, page, string } from './schemas/parts.ts'
import * as requests from './schemas/requests.ts'
import * as sessions from './schemas/sessions.ts'
import * as tokens from './schemas/tokens.ts'

/**
 * Every body and query of the routes, and every answer, as zod sees it. This file is loaded with the
 * first call of a route that needs it; OpenAPI is made from the same schemas.
 */

export const problem = z.object({
  type: string,
  title: string,
  status: z.int(),
  code: string,
  detail: string.optional(),
  errors: z.array(z.object({ path: string, message: string })).optional(),
})

/** The shapes by the names that the routes table calls them. */
export const shapes = {
  ...sessions,
  ...grants,
  ...requests,
  ...audit,
  ...tokens,
  noQuery: none,
  pageQuery: z.strictObject(page),
} as const

/** @throws {ImpersonationError} invalid_request, with every offending path */
export function parse<T extends z.ZodType>(
  schema: T,
  value: unknown,
  where: 'body' | 'query',
): z.infer<T> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw new ImpersonationError('invalid_request', {
    errors: result.error.issues.flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => ({
            path: pathTo([...issue.path, key], where),
            message: 'is unknown here',
          }))
        : [{ path: pathTo(issue.path, where), message: issue.message }],
    ),
  })
}

function pathTo(path: readonly PropertyKey[], where: 'body' | 'query'): string {
  const inside = path.map(String).join('.')
  if (inside === '') return where
  return where === 'query' ? `query.${inside}` : inside
}
