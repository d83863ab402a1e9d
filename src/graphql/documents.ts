import {
  type DocumentNode,
  type FragmentDefinitionNode,
  Kind,
  type OperationDefinitionNode,
  parse,
  type SelectionSetNode,
} from 'graphql'
import { LRUCache } from 'lru-cache'
import type { Guardrail } from '../types.ts'
import type { Field } from './fields.ts'
import { type Verdict, worst } from './verdict.ts'

/** What a GraphQL document does, told by its text alone. */

/** Beyond these a document is not looked into: each could be made to cost seconds. */
const maxTokens = 15_000
const maxLength = 256 * 1024

interface Operation {
  readonly name: string | undefined
  readonly verdict: Verdict
}

/**
 * What a document does when it is run for this name. Without a name, or with one that none of its
 * operations has, whichever of them a server might run.
 */
export type ReadDocument = (text: string, operationName: string | undefined) => Verdict

/** Documents come again and again: what they do is kept, for a bounded number and length of them. */
export function createReadDocument(guardOf: (field: Field) => Guardrail | undefined): ReadDocument {
  const kept = new LRUCache<string, readonly Operation[]>({
    max: 5_000,
    maxSize: 4 * 1024 * 1024,
    sizeCalculation: (operations, text) => text.length + 100 * (operations.length + 1),
  })

  return function readDocument(text, operationName) {
    if (text.length > maxLength) return 'unknown'
    let operations = kept.get(text)
    if (!operations) {
      operations = operationsOf(text, guardOf)
      kept.set(text, operations)
    }
    const meant =
      operationName === undefined ? [] : operations.filter(({ name }) => name === operationName)
    return worst((meant.length > 0 ? meant : operations).map(({ verdict }) => verdict))
  }
}

/** None where the text is no document that can be run. */
function operationsOf(
  text: string,
  guardOf: (field: Field) => Guardrail | undefined,
): readonly Operation[] {
  try {
    const document: DocumentNode = parse(text, { noLocation: true, maxTokens })
    const operations: OperationDefinitionNode[] = []
    const fragments = new Map<string, FragmentDefinitionNode[]>()
    for (const definition of document.definitions) {
      if (definition.kind === Kind.OPERATION_DEFINITION) operations.push(definition)
      else if (definition.kind === Kind.FRAGMENT_DEFINITION) {
        const { value } = definition.name
        // Two of one name are no valid document; a server that runs one all the same might run either.
        fragments.set(value, [...(fragments.get(value) ?? []), definition])
      } else return []
    }
    return operations.map((operation) => ({
      name: operation.name?.value,
      verdict: verdictOf(operation, fragments, guardOf),
    }))
  } catch {
    return []
  }
}

const roots = { query: 'Query', mutation: 'Mutation', subscription: 'Subscription' } as const

function verdictOf(
  { operation, selectionSet }: OperationDefinitionNode,
  fragments: ReadonlyMap<string, readonly FragmentDefinitionNode[]>,
  guardOf: (field: Field) => Guardrail | undefined,
): Verdict {
  const root = roots[operation]
  // A list and no recursion: how deep a document goes is up to whoever sent it.
  const open: [set: SelectionSetNode, isRoot: boolean][] = [[selectionSet, true]]
  const seen = new Set<string>()
  for (let next = open.pop(); next; next = open.pop()) {
    const [set, isRoot] = next
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) {
        const { name, arguments: given = [] } = selection
        const field = { root, name: name.value, isRoot, hasArguments: given.length > 0 }
        const guard = guardOf(field)
        if (guard) return { guard }
        if (selection.selectionSet) open.push([selection.selectionSet, false])
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        open.push([selection.selectionSet, isRoot])
      } else {
        const { value } = selection.name
        const spread = fragments.get(value)
        // Some server may know it from elsewhere.
        if (!spread) return 'unknown'
        const key = `${isRoot} ${value}`
        if (seen.has(key)) continue
        seen.add(key)
        for (const fragment of spread) open.push([fragment.selectionSet, isRoot])
      }
    }
  }
  return operation === 'mutation' ? 'write' : 'read'
}
