import {
  type Classification,
  type ClassifyRequest,
  createClassify,
} from '../../src/pipeline/classify.ts'
import type { RequestView } from '../../src/pipeline/identify.ts'
import { readingsOf } from '../../src/pipeline/patterns.ts'
import { view } from '../support/core-world.ts'

export interface Asked {
  readonly method?: string
  readonly target?: string
  readonly headers?: Readonly<Record<string, string>>
  /** As JSON. */
  readonly json?: unknown
  /** As it stands. */
  readonly body?: string | Uint8Array
  /** What a parser of the app has made of it. */
  readonly parsed?: unknown
  /** Nobody can tell the body. */
  readonly gone?: boolean
}

type Classify = (request: ClassifyRequest) => Classification | Promise<Classification>

/** Asks a classifier as the pipeline does. */
export function asker(classify: Classify) {
  const asked: RequestView<Asked> = {
    ...(view as never as RequestView<Asked>),
    method: ({ method = 'POST' }) => method,
    target: ({ target = '/graphql' }) => target,
    header: (asked, name) => headersOf(asked)[name],
    async peekBody({ json, body, gone, ...asked }) {
      if (gone) return undefined
      if ('parsed' in asked) return { parsed: asked.parsed }
      const text = json === undefined ? (body ?? '') : JSON.stringify(json)
      return { bytes: typeof text === 'string' ? new TextEncoder().encode(text) : text }
    },
  }
  const ask = createClassify(classify, asked)
  return async (asked: Asked) => told(await ask(asked, readingsOf(asked.target ?? '/graphql')))
}

function headersOf({ headers = {}, json, parsed }: Asked): Record<string, string> {
  const type =
    json === undefined && parsed === undefined ? {} : { 'content-type': 'application/json' }
  return { ...type, ...headers }
}

/** In a word: `'payment'` is a guarded payment. */
export const told = (said: Classification) =>
  said === undefined ? 'untold' : typeof said === 'object' ? said.guard : said
