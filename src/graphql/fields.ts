import { catalogueKind } from '../pipeline/catalogue.ts'
import { type Guardrail, guardrailKinds } from '../types.ts'

/** Which fields of an operation are guarded writes. */

/** The names of guarded fields: of the mutation type, or `'Query.exportKeys'` of another one. */
export type FieldLists = Partial<Record<Guardrail, readonly string[]>>

export interface Field {
  /** The type of the operation that it stands in. */
  readonly root: 'Query' | 'Mutation' | 'Subscription'
  readonly name: string
  readonly isRoot: boolean
  readonly hasArguments: boolean
}

/** How the names of fields begin that do something. */
const doing =
  /^(?:accept|activate|add|apply|approve|assign|attach|authorize|buy|cancel|change|charge|clear|close|confirm|connect|create|deactivate|delete|destroy|detach|disable|disconnect|drop|edit|enable|generate|grant|install|invalidate|invite|issue|link|make|mint|patch|pay|post|purchase|put|refresh|refund|regenerate|register|remove|renew|replace|request|reset|revoke|rotate|save|send|set|sign|start|stop|submit|switch|toggle|transfer|unlink|unset|update|upload|upsert|verify|withdraw)(?![a-z])/

const listed = /^(?:(?:Query|Mutation|Subscription)\.)?[_A-Za-z]\w*$/

/**
 * A kind with a list is guarded by its names, wherever in an operation they stand; a kind without one by
 * the words of the shipped catalogue, on mutations only.
 * @throws {TypeError} naming the option and what is wrong with it
 */
export function guardedFields(lists: FieldLists = {}): (field: Field) => Guardrail | undefined {
  const named = new Map<string, Guardrail>()
  const own = new Set<Guardrail>()
  for (const [kind, names] of Object.entries(lists) as [Guardrail, readonly string[]][]) {
    if (!guardrailKinds.includes(kind))
      throw new TypeError(`option "guardrails": there is no kind ${JSON.stringify(kind)}`)
    if (!Array.isArray(names) || !names.every((name) => listed.test(name)))
      throw new TypeError(`option "guardrails.${kind}" must list names of fields`)
    own.add(kind)
    for (const name of names) named.set(name.includes('.') ? name : `Mutation.${name}`, kind)
  }

  return function guardOf({ root, name, isRoot, hasArguments }) {
    const kind = named.get(`${root}.${name}`)
    if (kind !== undefined || root !== 'Mutation') return kind
    // `user { changePassword }` writes below the root, though the spec forbids it; `user { email }` only
    // tells what was written.
    return isRoot || hasArguments || doing.test(name)
      ? catalogueKind(readingsOf(name), own)
      : undefined
  }
}

/** `createAPIKey` as `createapikey` and as `create-api-key`: the catalogue looks for words in paths. */
function readingsOf(name: string): readonly string[] {
  const words = name
    .replace(/([a-z\d])([A-Z])/g, '$1-$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1-$2')
    .replaceAll('_', '-')
  return [name.toLowerCase(), words.toLowerCase()]
}
