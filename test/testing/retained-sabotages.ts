import type { RetentionSection } from '../../src/stores/retention.ts'
import type { Store } from '../../src/stores/store.ts'
import type { TokenSection } from '../../src/stores/tokens.ts'
import type { TrailSection } from '../../src/stores/trail.ts'
import type { ApiToken, TrailEntry } from '../../src/types.ts'

type StoreSabotage = (store: Store) => Partial<Store>
type ListVerb = keyof typeof sectionOf
type List = (filter: object, page: { limit: number }) => Promise<readonly Row[]>
interface Row {
  readonly [name: string]: unknown
}

const sectionOf = {
  listSessions: null,
  listEvents: null,
  listGrants: 'grants',
  listRequests: 'requests',
  listDeliveries: 'outbox',
  listTokens: 'tokens',
} as const

/** What a list says once `verb` was called, made of what it would say and what it said before. */
const afterwards =
  (
    verb: 'prune' | 'erasePerson',
    list: ListVerb,
    change: (rows: readonly Row[], before: readonly Row[]) => readonly Row[],
  ): StoreSabotage =>
  (store) => {
    const name = sectionOf[list]
    const owner = (name ? store[name] : store) as unknown as Record<ListVerb, List>
    let before: readonly Row[] | undefined
    const changed: List = async (filter, page) => {
      const rows = await owner[list](filter, page)
      return before ? change(rows, before) : rows
    }
    const retention = store.retention as RetentionSection
    const call = retention[verb] as (...args: unknown[]) => Promise<never>
    const told = async (...args: unknown[]) => {
      before ??= await owner[list]({}, { limit: 1e6 })
      return call(...args)
    }
    return {
      ...(name ? { [name]: { ...owner, [list]: changed } } : { [list]: changed }),
      retention: { ...retention, [verb]: told },
    }
  }

const asBefore = (_: readonly Row[], before: readonly Row[]) => before
const without = (isGone: (row: Row) => boolean) => (rows: readonly Row[]) =>
  rows.filter((row) => !isGone(row))
const blanking = (changes: Row, isBlank: (row: Row) => boolean) => (rows: readonly Row[]) =>
  rows.map((row) => (isBlank(row) ? { ...row, ...changes } : row))
const isOpen = ({ status }: Row) =>
  ['active', 'pending', 'granted', 'unproven', 'approved'].includes(String(status))
const any = () => true

/** A trail that outlives its session. */
const staleTrail: StoreSabotage = (store) => {
  const trail = store.trail as TrailSection
  const kept = new Map<string, readonly TrailEntry[]>()
  return {
    trail: {
      ...trail,
      appendTrail: async (id, make) => {
        const seq = await trail.appendTrail(id, make)
        kept.set(id, await trail.readTrails([id], null, 1e6))
        return seq
      },
      readTrails: async (ids, after, limit) => {
        const found = await trail.readTrails(ids, after, limit)
        return found.length > 0 ? found : ids.flatMap((id) => kept.get(id) ?? [])
      },
    },
  }
}

/** A lapse that outlives its session, or what was erased of it. */
const staleLapse = (store: Store): Partial<Store> => {
  const known = new Map<string, Awaited<ReturnType<Store['readStanding']>>>()
  return {
    endSession: async (id, ending, event) => {
      const result = await store.endSession(id, ending, event)
      if (result)
        known.set(result.session.actorId, await store.readStanding(result.session.actorId))
      return result
    },
    readStanding: async (actorId) => known.get(actorId) ?? store.readStanding(actorId),
  }
}

/** An API token that outlives its row. */
const staleToken: StoreSabotage = (store) => {
  const tokens = store.tokens as TokenSection
  const kept = new Map<string, ApiToken>()
  return {
    tokens: {
      ...tokens,
      createToken: async (token, hash, ...rest) => {
        const answer = await tokens.createToken(token, hash, ...rest)
        if (answer === 'created') kept.set(hash, token)
        return answer
      },
      findToken: async (hash) => (await tokens.findToken(hash)) ?? kept.get(hash) ?? null,
    },
  }
}

/** A hash that outlives its token. */
const staleHash: StoreSabotage = (store) => {
  const tokens = store.tokens as TokenSection
  const taken = new Set<string>()
  return {
    tokens: {
      ...tokens,
      createToken: async (token, hash, ...rest) => {
        if (taken.has(hash)) throw new Error('duplicate key')
        const answer = await tokens.createToken(token, hash, ...rest)
        if (answer === 'created') taken.add(hash)
        return answer
      },
    },
  }
}

const withSalt: StoreSabotage = (store) => {
  const salts = new Map<number, string | null>()
  return {
    chain: {
      ...store.chain,
      readLinks: async (after: number, limit: number) => {
        const page = (await store.chain?.readLinks(after, limit)) ?? []
        return page.map(({ link, event }) => {
          const salt = link.salt ?? salts.get(link.seq) ?? null
          salts.set(link.seq, salt)
          return { link: { ...link, salt }, event }
        })
      },
    } as never,
  }
}

const withoutGone: StoreSabotage = (store) => ({
  chain: {
    ...store.chain,
    readLinks: async (after: number, limit: number) =>
      ((await store.chain?.readLinks(after, limit)) ?? []).filter(({ event }) => event),
  } as never,
})

/** Faults that other verbs show. */
export const retainedSabotages: Record<string, StoreSabotage> = {
  'prunes no events': afterwards('prune', 'listEvents', asBefore),
  'prunes no sessions': afterwards('prune', 'listSessions', asBefore),
  'prunes no grants': afterwards('prune', 'listGrants', asBefore),
  'prunes no requests': afterwards('prune', 'listRequests', asBefore),
  'prunes no deliveries': afterwards('prune', 'listDeliveries', asBefore),
  'prunes no trail': staleTrail,
  'prunes live sessions': afterwards('prune', 'listSessions', without(isOpen)),
  'prunes events of live sessions': afterwards(
    'prune',
    'listEvents',
    without(({ action }) => action === 'impersonation.started'),
  ),
  'prunes what was pruned on record': afterwards(
    'prune',
    'listEvents',
    without(({ action }) => action === 'audit.pruned'),
  ),
  'prunes what was erased on record': afterwards(
    'prune',
    'listEvents',
    without(({ action }) => action === 'audit.erased'),
  ),
  'prunes open grants': afterwards('prune', 'listGrants', without(isOpen)),
  'prunes open requests': afterwards('prune', 'listRequests', without(isOpen)),
  'prunes deliveries that wait': afterwards('prune', 'listDeliveries', without(isOpen)),
  'prunes every grant that is closed': afterwards('prune', 'listGrants', (rows) =>
    rows.filter(isOpen),
  ),
  'prunes every request that is closed': afterwards('prune', 'listRequests', (rows) =>
    rows.filter(isOpen),
  ),
  'erases nothing of events': afterwards('erasePerson', 'listEvents', asBefore),
  'erases nothing of sessions': afterwards('erasePerson', 'listSessions', asBefore),
  'erases nothing of grants': afterwards('erasePerson', 'listGrants', asBefore),
  'erases nothing of requests': afterwards('erasePerson', 'listRequests', asBefore),
  'erases nothing of deliveries': afterwards('erasePerson', 'listDeliveries', asBefore),
  'erases events of others': afterwards(
    'erasePerson',
    'listEvents',
    blanking({ reason: null }, any),
  ),
  'erases all details': afterwards('erasePerson', 'listEvents', blanking({ details: {} }, any)),
  'erases who it was': afterwards(
    'erasePerson',
    'listEvents',
    blanking({ targetUserId: null }, ({ targetUserId }) => targetUserId === 'alice'),
  ),
  'erases sessions of others': afterwards(
    'erasePerson',
    'listSessions',
    blanking({ reason: null }, ({ actorId }) => actorId === 'bob'),
  ),
  'erases live sessions': afterwards(
    'erasePerson',
    'listSessions',
    blanking({ reason: null }, isOpen),
  ),
  'erases open grants': afterwards('erasePerson', 'listGrants', blanking({ reason: null }, isOpen)),
  'erases open requests': afterwards(
    'erasePerson',
    'listRequests',
    blanking({ reason: null }, isOpen),
  ),
  'erases deliveries that wait': afterwards(
    'erasePerson',
    'listDeliveries',
    blanking({ payload: {} }, isOpen),
  ),
  'erases deliveries without a new revision': afterwards(
    'erasePerson',
    'listDeliveries',
    blanking({ revision: 1 }, any),
  ),
  'prunes no API tokens': afterwards('prune', 'listTokens', asBefore),
  'prunes every API token': afterwards('prune', 'listTokens', () => []),
  'prunes API tokens that were replaced': afterwards(
    'prune',
    'listTokens',
    without(({ replacedBy }) => replacedBy !== null),
  ),
  'prunes no API tokens that have expired': afterwards('prune', 'listTokens', (rows, before) => [
    ...rows,
    ...before.filter(({ revokedAt }) => revokedAt === null),
  ]),
  'prunes no API tokens that were revoked': afterwards('prune', 'listTokens', (rows, before) => [
    ...rows,
    ...before.filter(({ revokedAt }) => revokedAt !== null),
  ]),
  'finds an API token that is gone': staleToken,
  'keeps the hash of an API token that is gone': staleHash,
  'erases nothing of API tokens': afterwards('erasePerson', 'listTokens', asBefore),
  'erases API tokens of others': afterwards(
    'erasePerson',
    'listTokens',
    blanking({ name: '' }, any),
  ),
  'erases API tokens that they issued': afterwards(
    'erasePerson',
    'listTokens',
    blanking({ name: '' }, ({ issuedBy }) => issuedBy === 'alice'),
  ),
  'erases who revoked an API token': afterwards(
    'erasePerson',
    'listTokens',
    blanking({ revokedBy: null }, any),
  ),
  'erases API tokens without a new revision': afterwards('erasePerson', 'listTokens', (rows, old) =>
    rows.map((row) => ({ ...row, revision: old.find(({ id }) => id === row.id)?.revision })),
  ),
  'prunes links with their events': withoutGone,
  'leaves the salt where it erases': withSalt,
  'keeps a lapse as it was': staleLapse,
  'forgets no code': (store) => {
    const marks = new Set<string>()
    return {
      requests: {
        ...store.requests,
        createRequest: async (request: never, more: never, code: { mark: string } | null) => {
          if (code && marks.has(code.mark)) return 'code_used'
          if (code) marks.add(code.mark)
          return store.requests?.createRequest(request, more, code as never)
        },
      } as never,
    }
  },
}
