import type { OperationNode } from 'kysely'
import { hole } from './lexer.ts'

/** A node as far as it is known here; kinds differ in the rest. */
export type Node = OperationNode & Readonly<Record<string, unknown>>

export const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).kind === 'string'

/** A raw fragment put together: its text with holes, and what comes into the holes. */
export interface Fragment {
  readonly text: string
  readonly holes: readonly Node[]
}

/**
 * Puts a raw fragment together the way it is compiled: raw parts, literals and operators in it grow
 * together with the text around them, so they are judged as one. Null when something is not known.
 */
export function assemble(node: Node): Fragment | null {
  const holes: Node[] = []

  function textOf(raw: Node): string | null {
    const fragments = raw.sqlFragments
    const parameters = raw.parameters
    if (!Array.isArray(fragments) || !Array.isArray(parameters)) return null
    let text = ''
    for (const [at, fragment] of fragments.entries()) {
      if (typeof fragment !== 'string' || fragment.includes(hole)) return null
      text += fragment
      if (at >= parameters.length) continue
      const inside = insideOf(parameters[at])
      if (inside === null) return null
      text += inside
    }
    return text
  }

  function insideOf(parameter: unknown): string | null {
    if (!isNode(parameter)) return null
    if (parameter.kind === 'RawNode') return textOf(parameter)
    if (parameter.kind === 'OperatorNode')
      return typeof parameter.operator === 'string' ? parameter.operator : null
    if (parameter.kind === 'ValueNode' && parameter.immediate) return literal(parameter.value)
    holes.push(parameter)
    return hole
  }

  const text = textOf(node)
  return text === null ? null : { text, holes }
}

/** An immediate value as kysely writes it. */
export function literal(value: unknown): string | null {
  if (typeof value === 'string')
    return value.includes(hole) ? null : `'${value.replaceAll("'", "''")}'`
  if (value instanceof Date) return `'${value.toISOString()}'`
  const plain = value === null || ['number', 'boolean', 'bigint'].includes(typeof value)
  return plain ? String(value) : null
}
