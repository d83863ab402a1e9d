import type { Reading } from './calls.ts'
import { assemble, isNode, literal, type Node } from './fragments.ts'
import { fragmentReads, onlyReads } from './verdict.ts'

/** Kinds of nodes that read when all that is in them does. A kind that is not known here is refused. */
const plain: ReadonlySet<string> = new Set([
  ...['SelectQueryNode', 'SelectionNode', 'ReferenceNode', 'ColumnNode', 'TableNode', 'FromNode'],
  ...['SchemableIdentifierNode', 'SelectAllNode', 'AndNode', 'OrNode', 'ParensNode', 'WhereNode'],
  ...['ValueListNode', 'ValuesNode', 'OnNode', 'OrderByNode', 'GroupByNode', 'GroupByItemNode'],
  ...['LimitNode', 'OffsetNode', 'ListNode', 'WithNode', 'CommonTableExpressionNode', 'HavingNode'],
  ...['CommonTableExpressionNameNode', 'OverNode', 'PartitionByNode', 'PartitionByItemNode'],
  ...['UsingNode', 'CaseNode', 'WhenNode', 'JSONReferenceNode', 'JSONPathNode', 'TupleNode'],
  ...['JSONOperatorChainNode', 'CastNode', 'CollateNode'],
])

/** Kinds that hold names and values, which are data to the database. */
const leaves: ReadonlySet<string> = new Set(['IdentifierNode', 'PrimitiveValueListNode'])

const joins: ReadonlySet<unknown> = new Set([
  ...['InnerJoin', 'LeftJoin', 'RightJoin', 'FullJoin', 'CrossJoin'],
  ...['LateralInnerJoin', 'LateralLeftJoin', 'LateralCrossJoin'],
])

/** Operators in words that `onlyReads` would take for names of functions. */
const wordOperators: ReadonlySet<unknown> = new Set(['is', 'is not'])

/** What a refused root is called. */
const statements: Readonly<Record<string, string>> = {
  InsertQueryNode: 'insert',
  UpdateQueryNode: 'update',
  DeleteQueryNode: 'delete',
  MergeQueryNode: 'merge',
}

/** Whether a query of kysely only reads: null, or in a few words why that can't be said. */
export function queryReads(root: Node, reading: Reading): string | null {
  if (root.kind === 'SelectQueryNode') return createReader(reading).read(root)
  if (root.kind !== 'RawNode') return statements[root.kind] ?? root.kind
  const fragment = assemble(root)
  if (!fragment) return 'an unknown fragment'
  return onlyReads(fragment.text, reading, true) ?? createReader(reading).readAll(fragment.holes)
}

function createReader(reading: Reading) {
  const judge = (text: string) => fragmentReads(text, reading)

  function readAll(values: readonly unknown[]): string | null {
    for (const value of values) {
      const reason = readPart(value)
      if (reason) return reason
    }
    return null
  }

  function readPart(value: unknown): string | null {
    if (value === undefined || value === null || typeof value === 'boolean') return null
    if (Array.isArray(value)) return readAll(value)
    return isNode(value) ? read(value) : 'an unknown part'
  }

  /** All members of a node but those that were looked at already. */
  function readMembers(node: Node, ...seen: string[]): string | null {
    const rest = Object.entries(node).filter(([name]) => name !== 'kind' && !seen.includes(name))
    return readAll(rest.map(([, value]) => value))
  }

  /** A raw fragment, with what kysely writes next to it. */
  function readRaw(node: Node, before = '', after = ''): string | null {
    const fragment = assemble(node)
    if (!fragment) return 'an unknown fragment'
    return judge(before + fragment.text + after) ?? readAll(fragment.holes)
  }

  /**
   * What stands between two expressions. The second may be in parentheses, and then the word before
   * it is the name of a function.
   */
  function readBetween(node: unknown): string | null {
    if (!isNode(node)) return readPart(node)
    if (node.kind === 'OperatorNode')
      return wordOperators.has(node.operator) ? null : judge(`${node.operator} ()`)
    if (node.kind !== 'RawNode') return read(node)
    return startsOpen(node) ? 'an unknown fragment' : readRaw(node, '', ' ()')
  }

  /** What is written before it would be called as a function. */
  function startsOpen(node: unknown): boolean {
    return isNode(node) && node.kind === 'RawNode' && /^\s*(\(|$)/.test(assemble(node)?.text ?? '')
  }

  function readModifier(node: Node): string | null {
    if (node.rawModifier) return readBetween(node.rawModifier) ?? readPart(node.of)
    return node.modifier === 'Distinct' ? null : 'a lock'
  }

  function read(node: Node): string | null {
    const { kind } = node
    if (plain.has(kind)) return readMembers(node)
    if (leaves.has(kind)) return null
    switch (kind as string) {
      case 'RawNode':
        return readRaw(node)
      case 'ValueNode':
        return node.immediate ? judge(literal(node.value) ?? '(') : null
      case 'OperatorNode':
        return readBetween(node)
      case 'FunctionNode':
      case 'AggregateFunctionNode':
        return judge(`${node.func}()`) ?? readMembers(node, 'func')
      case 'AliasNode':
        return isNode(node.alias) && node.alias.kind === 'RawNode'
          ? (readRaw(node.alias, 'as ') ?? readPart(node.node))
          : readMembers(node)
      case 'BinaryOperationNode':
      case 'UnaryOperationNode':
        return readBetween(node.operator) ?? readMembers(node, 'operator')
      case 'OrderByItemNode':
        if (startsOpen(node.direction)) return 'an unknown fragment'
        return (node.nulls ? judge(`${node.nulls}`) : null) ?? readMembers(node, 'nulls')
      case 'SelectModifierNode':
        return readModifier(node)
      case 'JoinNode':
        return joins.has(node.joinType) ? readMembers(node, 'joinType') : 'a join'
      case 'SetOperationNode':
        return judge(`${node.operator} ()`) ?? readMembers(node, 'operator')
      case 'FetchNode':
        return judge(`${node.modifier}`) ?? readMembers(node, 'modifier')
      case 'DataTypeNode':
        return judge(`as ${node.dataType}`)
      case 'ExplainNode':
        return judge(`${node.format ?? ''}`) ?? readMembers(node, 'format')
      case 'JSONPathLegNode':
        return /^[^\\'\0]*$/.test(String(node.value)) ? null : 'a path'
      default:
        return statements[kind] ?? kind
    }
  }

  return { read, readAll }
}
