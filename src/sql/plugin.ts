import type { KyselyPlugin, RootOperationNode } from 'kysely'
import type { Node } from './fragments.ts'
import { queryReads } from './nodes.ts'
import type { SqlGuardOptions, ViewWall } from './options.ts'
import { checkStamp, createStamper, type StampOptions } from './stamp.ts'
import { createWall } from './wall.ts'

export interface PluginOptions extends SqlGuardOptions {
  /** Writes into a column who was behind the last change. @default off */
  stamp?: StampOptions
}

/**
 * A plugin of kysely that stops every query that is not shown to only read while the context is
 * `view`, and where it is not known. It can also stamp rows with the id of whoever impersonates.
 * Put it after plugins that rename tables or columns, so that it sees the names of the database.
 *
 * > [!WARNING]
 * > A query that was compiled earlier, `CompiledQuery.raw(…)` and `db.withoutPlugins()` never pass
 * > a plugin. The wall is `guardDialect`; use both where rows are to be stamped.
 *
 * @throws {TypeError} naming the option in quotes
 * @example
 * ```ts
 * import { Kysely } from 'kysely'
 * import { impersonationPlugin } from 'onbehalf/sql'
 * import { dialect } from './database.ts'
 * import { impersonation } from './impersonation.ts'
 *
 * export const db = new Kysely({
 *   dialect,
 *   plugins: [
 *     impersonationPlugin(impersonation, { stamp: { column: 'impersonated_by', tables: ['notes'] } }),
 *   ],
 * })
 * ```
 */
export function impersonationPlugin(
  impersonation: ViewWall,
  options: PluginOptions = {},
): KyselyPlugin {
  const { stamp, ...rest } = options
  const wall = createWall(impersonation, rest)
  if (stamp !== undefined) checkStamp(stamp)
  const stamper = stamp && createStamper(stamp, wall.reading)
  return {
    transformQuery({ node }) {
      wall.check(() => queryReads(node as unknown as Node, wall.reading))
      if (!stamper) return node
      const actorId = impersonation.tryCurrent()?.session.actorId ?? null
      return stamper(node as unknown as Node, actorId) as unknown as RootOperationNode
    },
    transformResult: async ({ result }) => result,
  }
}
