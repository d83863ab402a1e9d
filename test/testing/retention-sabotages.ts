import type { RetentionSection } from '../../src/stores/retention.ts'
import type { Store } from '../../src/stores/store.ts'

type RetentionSabotage = (retention: RetentionSection, store: Store) => Partial<RetentionSection>

/** Something that a pruning must not touch, put back after each unit as it was. */
const keeping =
  (what: 'events' | 'sessions'): RetentionSabotage =>
  (retention, store) => ({
    prune: async (before, upTo, limit) => {
      const unit = await retention.prune(before, upTo, limit)
      return { ...unit, [what]: (await store.listEvents({}, { limit: 1 })).length }
    },
  })

/** Faults of the section `retention`. */
export const retentionSabotages: Record<string, RetentionSabotage> = {
  'prunes nothing': () => ({
    prune: async () => ({ sessions: 0, events: 0, more: false }),
  }),
  'prunes a millisecond early': (retention) => ({
    prune: (before, upTo, limit) => retention.prune(before - 1, upTo, limit),
  }),
  'prunes a millisecond late': (retention) => ({
    prune: (before, upTo, limit) => retention.prune(before + 1, upTo, limit),
  }),
  'prunes what nobody has surveyed': (retention) => ({
    prune: (before, _, limit) => retention.prune(before, Number.MAX_SAFE_INTEGER, limit),
  }),
  'prunes nothing of the last link that was surveyed': (retention) => ({
    prune: (before, upTo, limit) => retention.prune(before, upTo - 1, limit),
  }),
  'prunes nothing that is linked': (retention) => ({
    prune: (before, _, limit) => retention.prune(before, 0, limit),
  }),
  'prunes all at once': (retention) => ({
    prune: (before, upTo) => retention.prune(before, upTo, 1e6),
  }),
  'prunes twice as much as it was asked for': (retention) => ({
    prune: (before, upTo, limit) => retention.prune(before, upTo, 2 * limit + 2),
  }),
  'says that all is pruned when it is not': (retention) => ({
    prune: async (before, upTo, limit) => ({
      ...(await retention.prune(before, upTo, limit)),
      more: false,
    }),
  }),
  'says that there is more to prune when there is not': (retention) => {
    let units = 0
    return {
      prune: async (before, upTo, limit) => {
        const unit = await retention.prune(before, upTo, limit)
        return { ...unit, more: unit.more || units++ % 2 === 0 }
      },
    }
  },
  'counts other sessions than it prunes': keeping('sessions'),
  'counts other events than it prunes': keeping('events'),
  'knows of nothing to prune': () => ({ surveyChain: async () => ({ upTo: null, kept: 0 }) }),
  'surveys a millisecond early': (retention) => ({
    surveyChain: (before, atLeast) => retention.surveyChain(before - 1, atLeast),
  }),
  'surveys a millisecond late': (retention) => ({
    surveyChain: (before, atLeast) => retention.surveyChain(before + 1, atLeast),
  }),
  'forgets how far an earlier survey went': (retention) => ({
    surveyChain: (before) => retention.surveyChain(before, 0),
  }),
  'takes all that is gone for pruned': (retention) => ({
    surveyChain: async (before, atLeast) => {
      const { upTo } = await retention.surveyChain(before, atLeast)
      return retention.surveyChain(before, upTo ?? 0)
    },
  }),
  'takes 0 for a place': (retention) => ({
    surveyChain: async (before, atLeast) => {
      const { upTo, kept } = await retention.surveyChain(before, atLeast)
      return { upTo: upTo ?? 0, kept }
    },
  }),
  'counts one too few that stay': (retention) => ({
    surveyChain: async (before, atLeast) => {
      const { upTo, kept } = await retention.surveyChain(before, atLeast)
      return { upTo, kept: Math.max(0, kept - 1) }
    },
  }),
  'counts what is after the last that goes': (retention, store) => ({
    surveyChain: async (before, atLeast) => {
      const { upTo } = await retention.surveyChain(before, atLeast)
      const head = (await store.chain?.readHead())?.seq ?? 0
      return { upTo, kept: (await retention.surveyChain(before, head)).kept }
    },
  }),
  'erases nothing': () => ({ erasePerson: async () => ({ rows: 0, more: false }) }),
  'erases whatever is linked': (retention) => ({
    erasePerson: (userId, _, limit) => retention.erasePerson(userId, 1e6, limit),
  }),
  'erases nothing that is linked': (retention) => ({
    erasePerson: (userId, _, limit) => retention.erasePerson(userId, 0, limit),
  }),
  'erases nothing of the last link': (retention) => ({
    erasePerson: (userId, upTo, limit) => retention.erasePerson(userId, upTo - 1, limit),
  }),
  'erases all at once': (retention) => ({
    erasePerson: (userId, upTo) => retention.erasePerson(userId, upTo, 1e6),
  }),
  'says that all is erased when it is not': (retention) => ({
    erasePerson: async (userId, upTo, limit) => ({
      ...(await retention.erasePerson(userId, upTo, limit)),
      more: false,
    }),
  }),
  'erases by an id without its spaces': (retention) => ({
    erasePerson: (userId, upTo, limit) => retention.erasePerson(userId.trim(), upTo, limit),
  }),
  'takes no notice of case in an erasure': (retention) => ({
    erasePerson: async (userId, upTo, limit) => {
      await retention.erasePerson(`${userId[0]?.toUpperCase()}${userId.slice(1)}`, upTo, limit)
      return retention.erasePerson(userId, upTo, limit)
    },
  }),
  'ends the id of a person at NUL': (retention) => ({
    erasePerson: async (userId, upTo, limit) => {
      const [begin = ''] = userId.split('\0')
      const looks = begin === userId ? [] : [begin, `${begin}ce`, 'Alice']
      for (const one of looks) await retention.erasePerson(one, upTo, limit)
      return retention.erasePerson(userId, upTo, limit)
    },
  }),
}
