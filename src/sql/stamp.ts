import type { Reading } from './calls.ts'
import { assemble, isNode, type Node } from './fragments.ts'
import { isListOfNames } from './options.ts'
import { fragmentReads } from './verdict.ts'

export interface StampOptions {
  /**
   * A nullable column for text. While impersonating, inserts and updates write the id of the actor into it,
   * whatever the query itself gives; updates while nobody is impersonated write null.
   */
  column: string
  /** The tables that have it: `notes`, or `app.notes` for that of one schema. */
  tables: readonly string[]
}

/** @throws {TypeError} naming the option in quotes */
export function checkStamp(stamp: StampOptions): void {
  if (typeof stamp?.column !== 'string' || stamp.column === '')
    throw new TypeError('"stamp.column" must be the name of a column.')
  if (!isListOfNames(stamp.tables) || stamp.tables.length === 0)
    throw new TypeError('"stamp.tables" must be a list of names of tables.')
}

type Parts = Record<string, unknown>

/** Gives a function that stamps the writes anywhere in a query. @throws {Error} for what can't be stamped */
export function createStamper({ column, tables }: StampOptions, reading: Reading) {
  const columnNode = { kind: 'ColumnNode', column: { kind: 'IdentifierNode', name: column } }
  const names = tables.map((table) => table.split('.').at(-1) as string)
  const value = (actorId: string | null) => ({ kind: 'ValueNode', value: actorId })

  function fail(what: string): never {
    throw new Error(
      `${what} can't be stamped with "${column}": write it as an insert of values or an update of one table ` +
        'with the query builder, or run it while nobody is impersonated.',
    )
  }

  /** Whether a table is stamped; undefined where it can't be told. */
  function isStamped(table: unknown): boolean | undefined {
    if (!isNode(table)) return undefined
    if (table.kind === 'AliasNode') return isStamped(table.node)
    const id = table.kind === 'TableNode' ? (table.table as Node) : undefined
    if (id?.kind !== 'SchemableIdentifierNode') return undefined
    const name = nameOf(id.identifier)
    const schema = nameOf(id.schema)
    if (name === undefined) return undefined
    // Without a schema it may be the table of any.
    return tables.some((listed) =>
      schema === undefined || !listed.includes('.')
        ? listed.split('.').at(-1) === name
        : listed === `${schema}.${name}`,
    )
  }

  const isColumn = (node: unknown): boolean => {
    if (!isNode(node)) return false
    return node.kind === 'ReferenceNode'
      ? isColumn(node.column)
      : node.kind === 'ColumnNode' && nameOf(node.column) === column
  }

  function stampUpdates(updates: unknown, actorId: string | null): readonly Node[] {
    const rest = (Array.isArray(updates) ? updates : []).filter(({ column }) => !isColumn(column))
    const ours = { kind: 'ColumnUpdateNode', column: columnNode, value: value(actorId) }
    return [...rest, ours as unknown as Node]
  }

  function stampUpdate(node: Node, actorId: string | null): Node {
    const stamped = isStamped(node.table)
    const mentions = mentionsTable(node.table)
    if (stamped === undefined && (actorId !== null || mentions)) fail('this update')
    return stamped ? { ...node, updates: stampUpdates(node.updates, actorId) } : node
  }

  function stampInsert(node: Node, actorId: string | null): Node {
    const stamped = isStamped(node.into)
    if (stamped === undefined && actorId !== null) fail('this insert')
    if (!stamped) return node
    const { onConflict, onDuplicateKey } = node
    const parts: Parts = { ...node }
    if (isNode(onConflict) && onConflict.updates)
      parts.onConflict = { ...onConflict, updates: stampUpdates(onConflict.updates, actorId) }
    if (isNode(onDuplicateKey))
      parts.onDuplicateKey = {
        ...onDuplicateKey,
        updates: stampUpdates(onDuplicateKey.updates, actorId),
      }
    if (actorId !== null) Object.assign(parts, stampedValues(node, actorId))
    return parts as unknown as Node
  }

  /** The columns and rows of an insert, with ours in the place where the query gave it, or last. */
  function stampedValues(node: Node, actorId: string): Parts {
    if (node.defaultValues) {
      const row = { kind: 'PrimitiveValueListNode', values: [actorId] }
      const values = { kind: 'ValuesNode', values: [row] }
      return { defaultValues: undefined, columns: [columnNode], values }
    }
    const { columns, values } = node
    if (!Array.isArray(columns) || !isNode(values) || values.kind !== 'ValuesNode')
      return fail('this insert')
    const found = columns.findIndex(isColumn)
    const at = found < 0 ? columns.length : found
    const rows = (values.values as readonly Node[]).map((row) => {
      if (!Array.isArray(row.values)) return fail('this insert')
      const ours = row.kind === 'PrimitiveValueListNode' ? actorId : value(actorId)
      return { ...row, values: [...row.values.slice(0, at), ours, ...row.values.slice(at + 1)] }
    })
    return {
      columns: found < 0 ? [...columns, columnNode] : columns,
      values: { ...values, values: rows },
    }
  }

  function mentionsTable(part: unknown): boolean {
    if (typeof part === 'string')
      return names.some((name) => part.toLowerCase().includes(name.toLowerCase()))
    if (Array.isArray(part)) return part.some(mentionsTable)
    return isNode(part) && Object.values(part).some(mentionsTable)
  }

  /** A raw write into a stamped table, told by its name: rather one too many. */
  function checkRaw(node: Node): void {
    const fragment = assemble(node)
    const reads = fragment !== null && fragmentReads(fragment.text, reading) === null
    if (!reads && mentionsTable(node)) fail('a raw statement')
  }

  /** Rebuilds the query where something in it changes. */
  function stampIn(part: unknown, actorId: string | null): unknown {
    if (Array.isArray(part)) {
      const all = part.map((one) => stampIn(one, actorId))
      return all.some((one, at) => one !== part[at]) ? all : part
    }
    if (!isNode(part) || part.kind === 'ValueNode' || part.kind === 'PrimitiveValueListNode')
      return part
    const changed: Parts = {}
    for (const [name, member] of Object.entries(part)) {
      const inside = stampIn(member, actorId)
      if (inside !== member) changed[name] = inside
    }
    const node = Object.keys(changed).length > 0 ? ({ ...part, ...changed } as Node) : part
    if (node.kind === 'InsertQueryNode') return stampInsert(node, actorId)
    if (node.kind === 'UpdateQueryNode') return stampUpdate(node, actorId)
    if (actorId !== null && node.kind === 'RawNode') checkRaw(node)
    if (actorId !== null && node.kind === 'MergeQueryNode' && mentionsTable(node.into))
      fail('a merge')
    return node
  }

  return (root: Node, actorId: string | null) => stampIn(root, actorId) as Node
}

const nameOf = (node: unknown): string | undefined =>
  isNode(node) && node.kind === 'IdentifierNode' ? String(node.name) : undefined
