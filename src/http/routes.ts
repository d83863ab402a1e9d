import { approvalRoutes } from './approval-routes.ts'
import { auditRoutes } from './audit-routes.ts'
import { breakGlassRoutes } from './break-glass-routes.ts'
import { grantRoutes } from './grant-routes.ts'
import { json } from './json.ts'
import type { Route } from './route.ts'
import { sessionRoutes } from './session-routes.ts'
import { tokenRoutes } from './token-routes.ts'

/** The table of everything that is answered below `basePath`. */
export const routes: readonly Route[] = [
  ...sessionRoutes,
  ...grantRoutes,
  ...breakGlassRoutes,
  ...approvalRoutes,
  ...tokenRoutes,
  ...auditRoutes,
  {
    method: 'GET',
    path: '/openapi.json',
    who: 'anybody',
    summary: 'This document',
    status: 200,
    codes: [],
    run: async ({ base, routes: here }) => {
      const { openApi } = await import('./openapi.ts')
      return json(openApi(here, base))
    },
  },
]

/** The routes of the features that are switched on. */
export const routesWith = (features: ReadonlySet<Feature>): readonly Route[] =>
  routes.filter(({ feature }) => feature === undefined || features.has(feature))

export type Feature = NonNullable<Route['feature']>
