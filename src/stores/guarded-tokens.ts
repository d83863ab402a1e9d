import { isApiToken } from './shapes.ts'
import type { TokenSection } from './tokens.ts'

/**
 * The verbs of the section `tokens`, each with an answer in time and in shape.
 * @param readMs how long one may read, and `changeMs` change
 */
export function guardTokens(
  tokens: TokenSection,
  within: <T>(ms: number, ask: () => Promise<T>, holds: (answer: T) => boolean) => Promise<T>,
  readMs: number,
  changeMs: number,
): TokenSection {
  return {
    createToken: (token, hash, events, replaces) =>
      within(
        changeMs,
        () => tokens.createToken(token, hash, events, replaces),
        (answer) => answer === 'created' || (replaces !== null && answer === 'changed_since'),
      ),
    readToken: (id) =>
      within(
        readMs,
        () => tokens.readToken(id),
        (answer) => answer === null || (isApiToken(answer) && answer.id === id),
      ),
    findToken: (hash) =>
      within(
        readMs,
        () => tokens.findToken(hash),
        (answer) => answer === null || isApiToken(answer),
      ),
    listTokens: (filter, page) =>
      within(
        readMs,
        () => tokens.listTokens(filter, page),
        (answer) => answer.every(isApiToken),
      ),
    changeToken: (token, events) =>
      within(
        changeMs,
        () => tokens.changeToken(token, events),
        (answer) => typeof answer === 'boolean',
      ),
    touchTokens: (uses, everyMs) =>
      within(
        changeMs,
        () => tokens.touchTokens(uses, everyMs),
        () => true,
      ),
  }
}
