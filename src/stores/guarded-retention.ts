import type { RetentionSection } from './retention.ts'

type Within = <T>(
  limitMs: number,
  ask: () => Promise<T>,
  holds: (answer: T) => boolean,
) => Promise<T>

/** With time enough for a large table: nobody waits for these but who called them. */
export function guardRetention(
  retention: RetentionSection,
  within: Within,
  limitMs: number,
): RetentionSection {
  return {
    surveyChain: (before, atLeast) =>
      within(
        limitMs,
        () => retention.surveyChain(before, atLeast),
        ({ upTo, kept }) =>
          isCount(kept) &&
          kept <= (upTo ?? 0) &&
          (upTo === null ? atLeast === 0 : isCount(upTo) && upTo > 0 && upTo >= atLeast),
      ),
    prune: (before, upTo, limit) =>
      within(
        limitMs,
        () => retention.prune(before, upTo, limit),
        ({ sessions, events, more }) =>
          isCount(sessions) && isCount(events) && typeof more === 'boolean',
      ),
    erasePerson: (userId, upTo, limit) =>
      within(
        limitMs,
        () => retention.erasePerson(userId, upTo, limit),
        ({ rows, more }) => isCount(rows) && typeof more === 'boolean',
      ),
  }
}

const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0
